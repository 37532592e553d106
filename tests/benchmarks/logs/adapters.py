"""Adapters of the logging libraries. All libraries log the same records to files."""

import logging
import logging.handlers
import os
import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from logs.config import Options, build_handler
from logs.files import MAX_FILE_BYTES

FILE = "cache.log"
KEPT_FILES = 1000
FLUSH_TIMEOUT = 600.0  # seconds
UNLIMITED = 10**9  # a queue capacity that no benchmark reaches

PATTERN = "conversations:instance:7:*"
FIELDS = {"namespace": "conversations", "duration_ms": 0.42}


class StalledFile:
    """A file wrapper that simulates a stalled disk: writes block until the `perf_counter` time `until`."""

    def __init__(self, file: Any, until: float) -> None:
        self._file = file
        self._until = until

    def write(self, text: str) -> int:
        """Wait until the stall ends, and write the text to the file."""
        time.sleep(max(0.0, self._until - time.perf_counter()))
        written: int = self._file.write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class PeerUnavailable(Exception):
    """A logging library cannot run on this machine; the error text is the reason."""


class Adapter:
    """Base class of the adapters of logging libraries; `log(n)` logs the n-th record.

    Attributes:
        logger: the standard library's logger, which all libraries except structlog use.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.logger = logging.Logger("whatsai.cache", logging.INFO)  # noqa: LOG001 - no other code shares this logger
        self._handlers = self.handlers()
        self.logger.addHandler(self._handlers[0])

    def handlers(self) -> list[logging.Handler]:
        """Return the handler for the logger, followed by other handlers that `close` must close."""
        raise NotImplementedError

    def log(self, number: int) -> None:
        """Write the record with this number to the log."""
        self.logger.info("Cache CLEAR pattern %s (%d keys)", PATTERN, number, extra=FIELDS)

    def drain(self) -> None:
        """Wait until all logged records are in the file."""

    def stall(self, until: float) -> None:
        """Make writes to the log files block until the `perf_counter` time `until`."""
        for handler in self._handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.stream = StalledFile(handler.stream, until)

    def close(self) -> None:
        """Close the log handlers and their files."""
        for handler in self._handlers:
            handler.close()

    def _file(self, formatter: logging.Formatter) -> logging.Handler:
        handler = logging.handlers.RotatingFileHandler(
            self.directory / FILE, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES
        )
        handler.setFormatter(formatter)
        return handler


class Ours(Adapter):
    """Adapter for the project's own logging service, with an unlimited queue."""

    capacity = UNLIMITED

    def handlers(self) -> list[logging.Handler]:
        """Return the handler of the project's logging service."""
        options = Options(self.directory, backup_count=KEPT_FILES, capacity=self.capacity, console=False)
        self._service = build_handler(options)
        return [self._service]

    def drain(self) -> None:
        """Wait until the writer thread has written all records."""
        self._service.writer.flush(FLUSH_TIMEOUT)

    def stall(self, until: float) -> None:
        """Make the writer thread's calls of `os.write` block until the `perf_counter` time `until`."""
        write = os.write

        def stalled_write(handle: int, data: Any) -> int:
            time.sleep(max(0.0, until - time.perf_counter()))
            return write(handle, data)

        os.write = stalled_write


class OursWithCapacity(Ours):
    """Adapter for the project's own logging service, with the default queue capacity."""

    capacity = Options(Path()).capacity


class Queue(Adapter):
    """Adapter for the standard library's QueueHandler and QueueListener, with an unbounded queue."""

    def handlers(self) -> list[logging.Handler]:
        """Return the QueueHandler, and the file handler to which the listener passes the records."""
        file = self._file(JsonFormatter())
        self._queue: queue.Queue[Any] = queue.Queue(-1)
        self._listener = logging.handlers.QueueListener(self._queue, file)
        self._listener.start()
        return [logging.handlers.QueueHandler(self._queue), file]

    def drain(self) -> None:
        """Wait until the writer thread has written all records."""
        self._queue.join()

    def close(self) -> None:
        """Stop the listener thread, and close the handlers."""
        self._listener.stop()
        super().close()


class Direct(Adapter):
    """Adapter for RotatingFileHandler, with which the calling thread writes each record to the file."""

    def handlers(self) -> list[logging.Handler]:
        """Return the handler that writes to the log file."""
        return [self._file(JsonFormatter("%(asctime)s %(levelname)s %(message)s"))]


class Plain(Adapter):
    """Adapter for RotatingFileHandler with lines of text, which are shorter than the other libraries' JSON lines."""

    def handlers(self) -> list[logging.Handler]:
        """Return the handler that writes to the log file."""
        return [self._file(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))]


class Structlog(Adapter):
    """Adapter for structlog in its fastest configuration: JSON lines directly to a file, without rotation."""

    def handlers(self) -> list[logging.Handler]:
        """Return a handler that does nothing, because structlog uses no handlers."""
        try:
            import structlog  # noqa: PLC0415 - the package is an optional dependency
        except ImportError:
            raise PeerUnavailable("it is not installed (tests/benchmarks/requirements.txt)") from None
        self._structlog: Any = structlog
        self._open = (self.directory / FILE).open("a")
        self._log = self._create_logger(self._open)
        return [logging.NullHandler()]

    def log(self, number: int) -> None:
        """Write the record with this number to the log."""
        self._log.info("Cache CLEAR pattern", pattern=PATTERN, keys=number, **FIELDS)

    def stall(self, until: float) -> None:
        """Create a new structlog logger for a stalled file, because the old logger caches the file's `write` method."""
        self._log = self._create_logger(StalledFile(self._open, until))

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def _create_logger(self, file: Any) -> Any:
        structlog = self._structlog
        processors = [
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ]
        wrapper = structlog.make_filtering_bound_logger(logging.INFO)
        return structlog.wrap_logger(structlog.WriteLogger(file), processors=processors, wrapper_class=wrapper).bind()


OURS = "logs"
QUEUE, DIRECT, PLAIN = "QueueHandler, JSON", "RotatingFileHandler, JSON", "RotatingFileHandler, text"
STRUCTLOG = "structlog, JSON"
ADAPTERS: dict[str, Callable[[Path], Adapter]] = {
    OURS: Ours, QUEUE: Queue, DIRECT: Direct, STRUCTLOG: Structlog, PLAIN: Plain,
}  # fmt: skip
