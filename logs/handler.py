"""The handler on the root logger: it takes a snapshot of a record, and leaves all that is slow to the listener.

What a caller pays for is what cannot wait: its message, its traceback as text, and copies of what may change later.
Formatting, redaction and writing are the listener's.
"""

import logging
import os
import threading
import weakref
from collections.abc import Iterable, Sequence
from contextlib import suppress
from multiprocessing import util as multiprocessing_util
from typing import Any, TextIO

from logs import binding
from logs.backlog import Backlog
from logs.files import ContextFiles
from logs.formats import JsonLines, Lines
from logs.listener import Listener
from logs.redaction import SCALARS, STANDARD, RedactionFilter, is_structure

CAPACITY = 10_000  # records
FORK_WITHIN = 1.0  # seconds that a fork waits for a disk that stalls

_PLAIN = len(vars(logging.makeLogRecord({})))  # attributes of a record to which nothing was added
_handlers: "weakref.WeakSet[ServiceHandler]" = weakref.WeakSet()
_new = object.__new__
_traceback = logging.Formatter().formatException


class ServiceHandler(logging.Handler):
    """Logs without waiting, into the files of all contexts and onto the console.

    Args:
        files: where the lines go.
        redact: what is done to each record before it is shown anywhere.
        console: where they are shown, for people if it is a terminal; None for nowhere.
        capacity: records that may wait to be written.
    """

    def __init__(
        self, files: ContextFiles, redact: RedactionFilter, console: TextIO | None = None, *, capacity: int = CAPACITY
    ) -> None:
        super().__init__()
        self._files = files
        self._redact = redact
        self._console = console
        self._capacity = capacity
        self._json = JsonLines().format
        self._shown = Lines().format if console is not None and console.isatty() else self._json
        self._is_closed = False
        self.writing = threading.Lock()
        self.renew()
        _handlers.add(self)
        multiprocessing_util.register_after_fork(self, ServiceHandler._flush_at_end)

    def createLock(self) -> None:  # noqa: N802 - logging's name
        """Have no lock: nothing here needs one, and in a forked process it might be held by a thread that is gone."""
        self.lock = None

    @property
    def dropped(self) -> dict[int, int]:
        """How many records this process has dropped, by level."""
        return dict(self.backlog.dropped)

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record in."""
        record = snapshot(record, self._redact)
        if self._is_closed:
            self._write((record,))
            return True
        self.backlog.put(record)
        if not self._listener.is_running:
            self._start()
        return True

    def flush(self) -> None:
        """Wait until everything logged so far is written; not for ever, should the disk stall."""
        self._listener.flush()

    def close(self) -> None:
        """Write everything, and stop; what is logged afterwards is written at once."""
        self._listener.stop()
        self._is_closed = True
        super().close()

    # --- the process --------------------------------------------------------------------------------------------------
    def renew(self) -> None:
        """Start anew: in a forked process the thread is gone, and what waits is the parent's to write."""
        self.backlog = Backlog(self._capacity)
        self._listener = Listener(self.backlog, self._write)
        self.writing = threading.Lock()

    def _start(self) -> None:
        with suppress(RuntimeError):  # no thread can be started while the interpreter goes down
            self._listener.start()
            return
        self._write(self.backlog.take()[0])

    def _flush_at_end(self) -> None:
        """See to it that a process of `multiprocessing`, which ends without `atexit`, writes everything."""
        multiprocessing_util.Finalize(None, self.flush, exitpriority=100)

    # --- in the listener ----------------------------------------------------------------------------------------------
    def _write(self, records: Sequence[logging.LogRecord]) -> None:
        """Redact, lay out and write.

        Raises:
            OSError: a file cannot be written; its lines wait for the next time.
        """
        with self.writing:
            self._lay_out(records)
            self._files.write()

    def _lay_out(self, records: Iterable[logging.LogRecord]) -> None:
        shown = []
        for record in records:
            try:
                self._redact.filter(record)
                line, seen = self._json(record), self._shown(record) if self._console else ""
            except Exception as error:  # noqa: BLE001 - whatever a value's own code does, the record is not lost
                record = _unsayable(record, error)  # noqa: PLW2901 - it stands for the other
                line = seen = self._json(record)
            self._files.add(record, line)
            shown.append(seen)
        if self._console is not None and shown:
            with suppress(OSError, ValueError):  # nobody is looking any more
                print("\n".join(shown), file=self._console, flush=True)


def snapshot(record: logging.LogRecord, redact: RedactionFilter) -> logging.LogRecord:
    """Return a record that says what this one says now, whatever becomes of its arguments.

    Structures are redacted here already, for copying them would cost as much.
    """
    taken = _new(logging.LogRecord)
    taken.__dict__ = said = record.__dict__.copy()
    if record.args:
        said["msg"], said["args"] = _message(record, redact), None
    if record.exc_info:
        said["exc_text"] = record.exc_text or _traceback(record.exc_info)
        said["exc_info"] = None
    if len(said) > _PLAIN:
        for name in said.keys() - STANDARD:
            if is_structure(said[name]):
                said[name] = redact.redactor.structure(said[name])
    said[binding.BOUND] = binding.current()
    return taken


def _message(record: logging.LogRecord, redact: RedactionFilter) -> str:
    arguments: Any = record.args
    if isinstance(arguments, tuple):
        if not SCALARS.issuperset(map(type, arguments)):
            arguments = tuple(redact.redactor.structure(one) if is_structure(one) else one for one in arguments)
    else:
        arguments = {name: redact.redactor.field(name, value) for name, value in arguments.items()}
    try:
        message: str = str(record.msg) % arguments
    except Exception as error:  # noqa: BLE001 - a wrong call, or a value's own code, must not harm who made it
        return f"{record.msg!r} cannot be filled in: {type(error).__name__}"
    return message


def _unsayable(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    text = f"a record could not be laid out: {type(error).__name__}"
    return logging.LogRecord(record.name, record.levelno, record.pathname, record.lineno, text, None, None)


# --- forks: not in the middle of a write, or the child would wait for a lock that nobody holds --------------------------
_held: list[threading.Lock] = []


def _before_fork() -> None:
    _held.extend(one.writing for one in _handlers if one.writing.acquire(timeout=FORK_WITHIN))


def _in_parent() -> None:
    while _held:
        _held.pop().release()


def _in_child() -> None:
    _held.clear()
    for handler in _handlers:
        handler.renew()


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
