"""Group commit: rows that several threads write at the same time go to the database in one statement.

One statement and commit for many rows take hardly longer than for a single row. The first caller writes its rows
immediately. Callers that arrive during a write wait for its end; then one of the waiting callers writes the rows of all
waiting callers.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from conversations.ingest.errors import is_transient_db_error

Row = TypeVar("Row")
MAX_CALLERS = 64  # maximum number of callers whose rows go into one statement


class _Pending(Generic[Row]):
    """The rows that one caller waits to write, and the result of the write."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.is_done = False
        self.error: BaseException | None = None


class GroupCommit(Generic[Row]):
    """Writes rows with the function `write_rows`, one call of which writes the rows of many concurrent callers."""

    def __init__(self, write_rows: Callable[[Sequence[Row]], object]) -> None:
        self._write_rows = write_rows
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Drop the queue and replace the locks in a forked child, because queued callers are threads of the parent."""
        self._queue: list[_Pending[Row]] = []
        self._queue_lock, self._write_lock = threading.Lock(), threading.Lock()

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows, possibly together with rows of other threads; return once the rows are in the database.

        Raises:
            Exception: an error that the caller's own rows or a database outage caused, not the rows of other callers.
        """
        call = _Pending(rows)
        with self._queue_lock:
            self._queue.append(call)
        with self._write_lock:
            if not call.is_done:
                self._write_queue()
        if call.error is not None:
            raise call.error

    def _write_queue(self) -> None:
        """Write the rows of all waiting callers, `MAX_CALLERS` callers at a time, in order of arrival."""
        while True:
            with self._queue_lock:
                calls, self._queue = self._queue[:MAX_CALLERS], self._queue[MAX_CALLERS:]
            if not calls:
                return
            self._write_calls(calls)

    def _write_calls(self, calls: Sequence[_Pending[Row]]) -> None:
        try:
            self._write_rows([row for call in calls for row in call.rows])
        except BaseException as error:  # noqa: BLE001 - each caller raises the error in its own thread
            if len(calls) > 1 and not is_transient_db_error(error):
                for call in calls:
                    self._write_calls([call])
                return
            for call in calls:
                call.error = error
        for call in calls:
            call.is_done = True
