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

from logs.binding import BOUND, current
from logs.files import ContextFiles
from logs.formatters import ConsoleFormatter, JsonFormatter
from logs.log_writer import LogWriter, is_writable, write_stderr
from logs.record_queue import RecordQueue
from logs.redaction import SCALARS, RedactionFilter, Redactor, cut, is_structure

CAPACITY = 10_000  # records
AT_ONCE = 1024  # characters that are shown at once: a pipe that takes anything takes as many
LOCK_WITHIN = 1.0  # seconds that a fork, and who logs after the end, waits for a disk that stalls

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
        self._redact, self._redactor = redact, redact.redactor
        self._console = console
        self._capacity = capacity
        self._patience = LOCK_WITHIN
        self._json = JsonFormatter().format
        self._for_people = ConsoleFormatter().format if console is not None and console.isatty() else None
        self.reset_after_fork()
        _handlers.add(self)

    def createLock(self) -> None:  # noqa: N802 - logging's name
        """Have no lock: nothing here needs one, and in a forked process it might be held by a thread that is gone."""
        self.lock = None

    @property
    def dropped(self) -> dict[int, int]:
        """How many records this process has dropped, by level."""
        return dict(self.backlog.dropped)

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record in."""
        self.backlog.put(snapshot(record, self._redactor))
        if not self.listener.is_running and not self.listener.start():
            self._write_here()
        return True

    def flush(self) -> None:
        """Wait until everything logged so far is written; not for ever, should the disk stall."""
        self.listener.flush()

    def close(self) -> None:
        """Write everything, and stop; what is logged afterwards is written at once."""
        if not (self.listener.stop() and self._write_here()):
            write_stderr("what is not written yet is lost: the disk does not take it")
        super().close()

    def reset_after_fork(self) -> None:
        """Start anew: in a forked process the thread is gone, and what waits is the parent's to write."""
        self.backlog = RecordQueue(self._capacity)
        self.writing = threading.Lock()
        self.listener = LogWriter(self.backlog, self._write)
        self._files.forget()

    # --- writing: the listener's, unless there is none ----------------------------------------------------------------
    def _write(self, records: Sequence[logging.LogRecord]) -> None:
        """Redact, lay out and write.

        Raises:
            OSError: a file cannot be written; its lines wait for the next time.
        """
        with self.writing:
            shown = self._lay_out(records)
            try:
                self._files.write()
            finally:
                self._show(shown)

    def _write_here(self) -> bool:
        """Write what waits in the thread that logs, and leave no file open; return whether it is written."""
        if not self.writing.acquire(timeout=LOCK_WITHIN):
            return False
        try:
            shown = self._lay_out(self.backlog.drain()[0])
            try:
                self._files.write()
                self._files.close()
            finally:
                self._show(shown)
        except OSError as error:
            write_stderr(f"cannot write: {error}")
            return False
        finally:
            self.writing.release()
        return True

    def _lay_out(self, records: Iterable[logging.LogRecord]) -> list[str]:
        """Add records to the files, and return what the console shows of them."""
        shown = []
        for record in records:
            try:
                self._redact.filter(record)
                line = self._json(record)
                shown.append(self._for_people(record) if self._for_people else line)
            except Exception as error:  # noqa: BLE001 - whatever it is about a record, the others are to be written
                record = _fallback_record(record, error)  # noqa: PLW2901 - it stands for the other
                line = self._json(record)
            self._files.add(record, line)
        return shown

    def _show(self, shown: Sequence[str]) -> None:
        """Show lines on the console, unless nobody reads it: that must not keep them from the files."""
        if self._console is None:
            return
        text = "".join(f"{line}\n" for line in shown)
        with suppress(OSError, ValueError):  # nobody is looking any more
            for start in range(0, len(text), AT_ONCE):
                if not is_writable(self._console, self._patience):
                    self._patience = 0.0
                    return
                print(text[start : start + AT_ONCE], end="", file=self._console, flush=True)
                self._patience = LOCK_WITHIN


# --- what a record says now -------------------------------------------------------------------------------------------
def snapshot(record: logging.LogRecord, redactor: Redactor) -> logging.LogRecord:
    """Return a record that says what this one says now, whatever becomes of its arguments.

    Structures are redacted here already, for copying them would cost as much.
    """
    taken = _new(logging.LogRecord)
    taken.__dict__ = said = record.__dict__.copy()
    if record.args or type(record.msg) is not str:
        said["msg"], said["args"] = _message(record, redactor), None
    if record.exc_info:
        said["exc_text"] = record.exc_text or cut(_traceback(record.exc_info))
        said["exc_info"] = None
    if len(said) > _PLAIN:
        said.pop("request", None)  # which Django adds: a whole request, with all that is in it
        for name in list(said)[_PLAIN:]:  # what was added comes last
            if type(said[name]) not in SCALARS:
                said[name] = _freeze_value(said[name], redactor)
    said[BOUND] = current()
    return taken


def _message(record: logging.LogRecord, redactor: Redactor) -> str:
    template, arguments = record.msg, record.args
    try:
        if type(template) is not str:
            template = str(redactor.argument(template))
        return cut(template % _arguments(template, arguments, redactor)) if arguments else template
    except Exception as error:  # noqa: BLE001 - a wrong call, or a value's own code, must not harm who made it
        return f"{template if type(template) is str else type(template)!r} cannot be said: {type(error).__name__}"


def _arguments(template: str, arguments: Any, redactor: Redactor) -> Any:
    if isinstance(arguments, tuple):
        if SCALARS.issuperset(map(type, arguments)):
            return arguments
        return tuple(one if type(one) in SCALARS else redactor.argument(one) for one in arguments)
    if "%(" in template:
        return {name: redactor.field(name, value) for name, value in arguments.items()}
    return redactor.structure(arguments)


def _freeze_value(value: object, redactor: Redactor) -> object:
    """Return what a field says now: a structure, or a text."""
    try:
        settled = redactor.argument(value)
        return settled if is_structure(settled) else cut(str(settled))
    except Exception as error:  # noqa: BLE001 - as above
        return f"{type(value)!r} cannot be said: {type(error).__name__}"


def _fallback_record(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    """Return what is written in place of a record that cannot be laid out."""
    text = f"a record of {record.pathname}:{record.lineno} could not be laid out: {type(error).__name__}"
    said = {name: vars(record).get(name) for name in ("name", "levelno", "created", "process", "threadName")}
    return logging.makeLogRecord({**said, "msg": text, "args": None})


# --- the process's ways -----------------------------------------------------------------------------------------------
_held: list[threading.Lock] = []


def _before_fork() -> None:
    """Let no fork happen in the middle of a write: the child would wait for a lock that nobody holds."""
    _held.extend(one.writing for one in list(_handlers) if one.writing.acquire(timeout=LOCK_WITHIN))


def _in_parent() -> None:
    while _held:
        _held.pop().release()


def _in_child() -> None:
    _held.clear()
    for handler in list(_handlers):
        handler.reset_after_fork()


def _flush_all() -> None:
    for handler in list(_handlers):
        handler.flush()


def _flush_at_end(_: object = None) -> None:
    """See to it that a process of `multiprocessing`, which may end without `atexit`, writes everything; last of all."""
    multiprocessing_util.Finalize(None, _flush_all, exitpriority=-100)


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
multiprocessing_util.register_after_fork(_flush_at_end, _flush_at_end)
_flush_at_end()
