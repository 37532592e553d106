"""Adapters of the peers. Each logs the same record, as JSON, to files that are rotated at 10 MB if it supports that."""

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
UNLIMITED = 10**9  # queue capacity, in records

PATTERN = "conversations:instance:7:*"
FIELDS = {"namespace": "conversations", "duration_ms": 0.42}


class StalledFile:
    """A file whose writes block until a given time."""

    def __init__(self, file: Any, until: float) -> None:
        self._file = file
        self._until = until

    def write(self, text: str) -> int:
        """Wait until the stall ends, and write."""
        time.sleep(max(0.0, self._until - time.perf_counter()))
        written: int = self._file.write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class PeerUnavailable(Exception):
    """The peer cannot run here; the message is the reason."""


class Adapter:
    """A running peer; `log(n)` logs the n-th record.

    Attributes:
        logger: its logger, unless it does not use the standard library's.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.logger = logging.Logger("whatsai.cache", logging.INFO)  # noqa: LOG001 - not shared with other code
        self._handlers = self.handlers()
        self.logger.addHandler(self._handlers[0])

    def handlers(self) -> list[logging.Handler]:
        """Return the logger's handler, followed by other handlers to close."""
        raise NotImplementedError

    def log(self, number: int) -> None:
        """Log one record."""
        self.logger.info("Cache CLEAR pattern %s (%d keys)", PATTERN, number, extra=FIELDS)

    def drain(self) -> None:
        """Wait until all records are written."""

    def stall(self, until: float) -> None:
        """Block writes to the disk until this time of `perf_counter`."""
        for handler in self._handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.stream = StalledFile(handler.stream, until)

    def close(self) -> None:
        """Stop, and close the files."""
        for handler in self._handlers:
            handler.close()

    def _file(self, formatter: logging.Formatter) -> logging.Handler:
        handler = logging.handlers.RotatingFileHandler(
            self.directory / FILE, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES
        )
        handler.setFormatter(formatter)
        return handler


class Ours(Adapter):
    """The project's logging service."""

    capacity = UNLIMITED

    def handlers(self) -> list[logging.Handler]:
        """Return the service's handler."""
        options = Options(self.directory, backup_count=KEPT_FILES, capacity=self.capacity, console=False)
        self._service = build_handler(options)
        return [self._service]

    def drain(self) -> None:
        """Wait until the writer thread has written all records."""
        self._service.writer.flush(FLUSH_TIMEOUT)

    def stall(self, until: float) -> None:
        """Block the writer thread's writes until this time."""
        write = os.write

        def stalled_write(handle: int, data: Any) -> int:
            time.sleep(max(0.0, until - time.perf_counter()))
            return write(handle, data)

        os.write = stalled_write


class OursWithCapacity(Ours):
    """The project's logging service with its default queue capacity."""

    capacity = Options(Path()).capacity


class Queue(Adapter):
    """The standard library's QueueHandler, with an unbounded queue, and QueueListener."""

    def handlers(self) -> list[logging.Handler]:
        """Return the queue's handler, and the file's."""
        file = self._file(JsonFormatter())
        self._queue: queue.Queue[Any] = queue.Queue(-1)
        self._listener = logging.handlers.QueueListener(self._queue, file)
        self._listener.start()
        return [logging.handlers.QueueHandler(self._queue), file]

    def drain(self) -> None:
        """Wait until the writer thread has written all records."""
        self._queue.join()

    def close(self) -> None:
        """Stop the listener thread too."""
        self._listener.stop()
        super().close()


class Direct(Adapter):
    """RotatingFileHandler: the calling thread writes each record."""

    def handlers(self) -> list[logging.Handler]:
        """Return the file's handler."""
        return [self._file(JsonFormatter("%(asctime)s %(levelname)s %(message)s"))]


class Plain(Adapter):
    """As `Direct`, with a line of text instead of JSON, so that it writes less than the other peers."""

    def handlers(self) -> list[logging.Handler]:
        """Return the file's handler."""
        return [self._file(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))]


class Structlog(Adapter):
    """structlog's fastest configuration: JSON directly to a file, without rotation."""

    def handlers(self) -> list[logging.Handler]:
        """Return a handler that does nothing; structlog has none."""
        try:
            import structlog  # noqa: PLC0415 - optional dependency
        except ImportError:
            raise PeerUnavailable("it is not installed (tests/benchmarks/requirements.txt)") from None
        self._structlog: Any = structlog
        self._open = (self.directory / FILE).open("a")
        self._log = self._create_logger(self._open)
        return [logging.NullHandler()]

    def log(self, number: int) -> None:
        """Log one record."""
        self._log.info("Cache CLEAR pattern", pattern=PATTERN, keys=number, **FIELDS)

    def stall(self, until: float) -> None:
        """Block its writes until this time; the logger is created anew because it caches the file's write method."""
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
