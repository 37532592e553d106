"""One write for several threads: who comes while another one writes waits for its end, and is written with all others.

A database takes a statement and a commit for many rows as quickly as for one (what is called group commit). Nobody
waits for company: the first one writes at once.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from conversations.ingest.errors import is_transient_db_error

Row = TypeVar("Row")
MAX_CALLERS = 64  # callers whose rows are written at once


class _Pending(Generic[Row]):
    """What one thread wants written, and what has become of that."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.is_done = False
        self.error: BaseException | None = None


class GroupCommit(Generic[Row]):
    """Writes rows by `write`, those of several threads at once."""

    def __init__(self, write: Callable[[Sequence[Row]], object]) -> None:
        self._write = write
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Start anew, in a process that was forked off: those who wait are its parent's."""
        self._waiting: list[_Pending[Row]] = []
        self._adding, self._writing = threading.Lock(), threading.Lock()

    def write(self, rows: Sequence[Row]) -> None:
        """Return once the rows are written.

        Raises:
            Exception: whatever writing them raises; nobody else's rows are the reason.
        """
        call = _Pending(rows)
        with self._adding:
            self._waiting.append(call)
        with self._writing:
            if not call.is_done:
                self._write_waiting()
        if call.error is not None:
            raise call.error

    def _write_waiting(self) -> None:
        """Write what waits, of all who do not fit in at first those who came first."""
        while True:
            with self._adding:
                calls, self._waiting = self._waiting[:MAX_CALLERS], self._waiting[MAX_CALLERS:]
            if not calls:
                return
            self._settle(calls)

    def _settle(self, calls: Sequence[_Pending[Row]]) -> None:
        try:
            self._write([row for call in calls for row in call.rows])
        except BaseException as error:  # noqa: BLE001 - each of them raises it, or its own
            if len(calls) > 1 and not is_transient_db_error(error):
                for call in calls:
                    self._settle([call])
                return
            for call in calls:
                call.error = error
        for call in calls:
            call.is_done = True
