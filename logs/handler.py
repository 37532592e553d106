"""The log handler on the root logger, which queues a snapshot of each log record for the writer thread.

The thread that logs a record does only what cannot wait: it formats the message and the traceback, and copies values
that may change later. The writer thread redacts the record, formats the line and writes it.
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
from logs.fork import after_fork
from logs.formatters import ConsoleFormatter, JsonFormatter
from logs.line_limit import cut, is_admitted
from logs.log_writer import LogWriter, is_writable, write_stderr
from logs.record_queue import RecordQueue
from logs.redaction import SCALAR_TYPES, RedactionFilter, Redactor, is_structure, truncate

CAPACITY = 10_000  # the number of log records that may wait to be written
CONSOLE_CHUNK_CHARS = 1024  # characters in one write: a pipe that select() reports as writable takes this many
LOCK_TIMEOUT = 1.0  # seconds that a fork, a closing handler or console output waits for a stalled write

_STANDARD_COUNT = len(vars(logging.makeLogRecord({})))  # the number of attributes of a log record without `extra`
_handlers: "weakref.WeakSet[ServiceHandler]" = weakref.WeakSet()
_new = object.__new__
_format_traceback = logging.Formatter().formatException


class ServiceHandler(logging.Handler):
    """Writes log records to the files of their log contexts and to the console, in a background thread.

    Args:
        files: the log files to write.
        redact: the filter that redacts each record before the record is written.
        console: a second output, or None; a terminal gets coloured lines, any other stream gets JSON lines.
        capacity: how many records may wait to be written.
    """

    def __init__(
        self, files: ContextFiles, redact: RedactionFilter, console: TextIO | None = None, *, capacity: int = CAPACITY
    ) -> None:
        super().__init__()
        self._files = files
        self._redact, self._redactor = redact, redact.redactor
        self._console = console
        self._capacity = capacity
        self._console_timeout = LOCK_TIMEOUT
        self._to_json = JsonFormatter().format
        self._to_console = ConsoleFormatter().format if console is not None and console.isatty() else None
        self.reset_after_fork()
        _handlers.add(self)

    def createLock(self) -> None:  # noqa: N802 - `logging` defines the name
        """Create no handler lock: none is needed, and a forked child could inherit a lock that is never released."""
        self.lock = None

    @property
    def dropped(self) -> dict[int, int]:
        """The number of log records that this process has dropped, by level."""
        return dict(self.queue.dropped)

    def handle(self, record: logging.LogRecord) -> bool:
        """Queue a snapshot of a log record; if the writer thread cannot run, write it in the calling thread."""
        if not is_admitted(record):
            return False
        self.queue.put(snapshot(record, self._redactor))
        if not self.writer.is_running and not self.writer.start():
            self._write_here()
        return True

    def flush(self) -> None:
        """Wait until all records logged so far are written, or until the timeout for a stalled disk."""
        self.writer.flush()

    def close(self) -> None:
        """Write all records and stop the writer thread; later records are written by the thread that logs them."""
        if not (self.writer.stop() and self._write_here()):
            write_stderr("the records not yet written are lost: the disk does not accept them")
        super().close()

    def reset_after_fork(self) -> None:
        """Start with an empty queue in a forked child: the parent process writes the records queued before the fork."""
        self.queue = RecordQueue(self._capacity)
        self.write_lock = threading.Lock()
        self.writer = LogWriter(self.queue, self._write)
        self._files.discard_pending()

    # --- writing, in the writer thread if there is one ----------------------------------------------------------------
    def _write(self, records: Sequence[logging.LogRecord]) -> None:
        """Redact, format and write records.

        Raises:
            OSError: a log file cannot be written; its lines stay for the next call.
        """
        with self.write_lock:
            shown = self._format_all(records)
            try:
                self._files.write()
            finally:
                self._write_console(shown)

    def _write_here(self) -> bool:
        """Write the queued records in the calling thread and close the files; return whether the write succeeded."""
        if not self.write_lock.acquire(timeout=LOCK_TIMEOUT):
            return False
        try:
            shown = self._format_all(self.queue.drain()[0])
            try:
                self._files.write()
                self._files.close()
            finally:
                self._write_console(shown)
        except OSError as error:
            write_stderr(f"cannot write: {error}")
            return False
        finally:
            self.write_lock.release()
        return True

    def _format_all(self, records: Iterable[logging.LogRecord]) -> list[str]:
        """Add the formatted records to the pending lines of the log files; return the lines for the console."""
        shown = []
        for record in records:
            try:
                self._redact.filter(record)
                line = self._to_json(record)
                shown.append(self._to_console(record) if self._to_console else line)
            except Exception as error:  # noqa: BLE001 - one bad record must not stop other records
                record = _fallback_record(record, error)  # noqa: PLW2901 - the fallback replaces the record
                line = self._to_json(record)
            self._files.add(record, line)
        return shown

    def _write_console(self, shown: Sequence[str]) -> None:
        """Write lines to the console; give up if the console blocks, because the log files must not wait for it."""
        if self._console is None:
            return
        text = "".join(f"{line}\n" for line in shown)
        with suppress(OSError, ValueError):  # raised when the console is closed
            for start in range(0, len(text), CONSOLE_CHUNK_CHARS):
                if not is_writable(self._console, self._console_timeout):
                    self._console_timeout = 0.0
                    return
                print(text[start : start + CONSOLE_CHUNK_CHARS], end="", file=self._console, flush=True)
                self._console_timeout = LOCK_TIMEOUT


# --- snapshots --------------------------------------------------------------------------------------------------------
def snapshot(record: logging.LogRecord, redactor: Redactor) -> logging.LogRecord:
    """Return a copy of a log record that stays the same if the record's arguments change later.

    Structures (dicts, lists and so on) are redacted already, because redacting costs no more than copying them.
    """
    copy = _new(logging.LogRecord)
    copy.__dict__ = attributes = record.__dict__.copy()
    if record.args or type(record.msg) is not str:
        attributes["msg"], attributes["args"] = _message(record, redactor), None
    if record.exc_info:
        attributes["exc_text"] = record.exc_text or truncate(_format_traceback(record.exc_info))
        attributes["exc_info"] = None
    if len(attributes) > _STANDARD_COUNT:
        attributes.pop("request", None)  # Django adds the request object to records
        for name in list(attributes)[_STANDARD_COUNT:]:  # the attributes from `extra` come last
            if type(attributes[name]) not in SCALAR_TYPES:
                attributes[name] = _freeze_value(attributes[name], redactor)
    attributes[BOUND] = current()
    cut(copy)
    return copy


def _message(record: logging.LogRecord, redactor: Redactor) -> str:
    template, arguments = record.msg, record.args
    try:
        if type(template) is not str:
            template = str(redactor.argument(template))
        return truncate(template % _arguments(template, arguments, redactor)) if arguments else template
    except Exception as error:  # noqa: BLE001 - wrong arguments or a failing __str__ must not raise in the caller
        return f"{template if type(template) is str else type(template)!r} cannot be formatted: {type(error).__name__}"


def _arguments(template: str, arguments: Any, redactor: Redactor) -> Any:
    if isinstance(arguments, tuple):
        if SCALAR_TYPES.issuperset(map(type, arguments)):
            return arguments
        return tuple(value if type(value) in SCALAR_TYPES else redactor.argument(value) for value in arguments)
    if "%(" in template:
        return {name: redactor.field(name, value) for name, value in arguments.items()}
    return redactor.structure(arguments)


def _freeze_value(value: object, redactor: Redactor) -> object:
    """Return a field's present value: a redacted copy of a structure, or the text of any other value."""
    try:
        redacted = redactor.argument(value)
        return redacted if is_structure(redacted) else truncate(str(redacted))
    except Exception as error:  # noqa: BLE001 - a failing __str__ must not raise in the caller
        return f"{type(value)!r} cannot be formatted: {type(error).__name__}"


def _fallback_record(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    """Return the log record to write in place of a record that cannot be formatted."""
    text = f"a record from {record.pathname}:{record.lineno} cannot be formatted: {type(error).__name__}"
    kept = {name: vars(record).get(name) for name in ("name", "levelno", "created", "process", "threadName")}
    return logging.makeLogRecord({**kept, "msg": text, "args": None})


# --- forks and the end of a process -----------------------------------------------------------------------------------
_locked: list[threading.Lock] = []


def _before_fork() -> None:
    """Wait for log writes in progress: a child forked during a write would inherit a locked file and wait for ever."""
    _locked.extend(one.write_lock for one in list(_handlers) if one.write_lock.acquire(timeout=LOCK_TIMEOUT))


def _after_fork_in_parent() -> None:
    while _locked:
        _locked.pop().release()


@after_fork
def _after_fork_in_child() -> None:
    _locked.clear()
    for handler in list(_handlers):
        handler.reset_after_fork()


def _flush_all() -> None:
    for handler in list(_handlers):
        handler.flush()


def _flush_at_exit(_: object = None) -> None:
    """Flush the logs at the end of a `multiprocessing` process, which may end without running `atexit` callbacks."""
    multiprocessing_util.Finalize(None, _flush_all, exitpriority=-100)


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent)
multiprocessing_util.register_after_fork(_flush_at_exit, _flush_at_exit)
_flush_at_exit()
