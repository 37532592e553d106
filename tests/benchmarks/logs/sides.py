"""Who is measured: each logs the same record, as JSON, into files that are rotated at 10 MB where it can do that."""

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
KEPT = 1000  # old files
FOR_EVER = 600.0  # seconds
NEVER = 10**9  # records that may wait

PATTERN = "conversations:instance:7:*"
FIELDS = {"namespace": "conversations", "duration_ms": 0.42}


class Stalling:
    """A file on a disk that takes nothing until some time."""

    def __init__(self, file: Any, until: float) -> None:
        self._file = file
        self._until = until

    def write(self, text: str) -> int:
        """Wait for the disk, and write."""
        time.sleep(max(0.0, self._until - time.perf_counter()))
        written: int = self._file.write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class LeftOut(Exception):
    """The side cannot run here; the message says why."""


class Side:
    """One way to log, at work: `log(n)` logs the n-th record.

    Attributes:
        logger: the standard library's, if it is one.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.logger = logging.Logger("whatsai.cache", logging.INFO)  # noqa: LOG001 - nobody else's
        self._handlers = self.handlers()
        self.logger.addHandler(self._handlers[0])

    def handlers(self) -> list[logging.Handler]:
        """Return the logger's handler, and others that are to be closed."""
        raise NotImplementedError

    def log(self, place: int) -> None:
        """Log one record."""
        self.logger.info("Cache CLEAR pattern %s (%d keys)", PATTERN, place, extra=FIELDS)

    def drain(self) -> None:
        """Wait until all is written."""

    def stall(self, until: float) -> None:
        """Let writing to the disk take until then, a moment of `perf_counter`."""
        for handler in self._handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.stream = Stalling(handler.stream, until)

    def close(self) -> None:
        """Stop, and close the files."""
        for handler in self._handlers:
            handler.close()

    def _file(self, formatter: logging.Formatter) -> logging.Handler:
        handler = logging.handlers.RotatingFileHandler(self.directory / FILE, maxBytes=MAX_FILE_BYTES, backupCount=KEPT)
        handler.setFormatter(formatter)
        return handler


class Ours(Side):
    """The service."""

    capacity = NEVER

    def handlers(self) -> list[logging.Handler]:
        """Return the service's handler."""
        options = Options(self.directory, backup_count=KEPT, capacity=self.capacity, console=False)
        self._service = build_handler(options)
        return [self._service]

    def drain(self) -> None:
        """Wait for the listener."""
        self._service.writer.flush(FOR_EVER)

    def stall(self, until: float) -> None:
        """Let the listener's writes take until then."""
        write = os.write

        def stalling(handle: int, data: Any) -> int:
            time.sleep(max(0.0, until - time.perf_counter()))
            return write(handle, data)

        os.write = stalling


class OursAsItIs(Ours):
    """The service, as bounded as it is set up."""

    capacity = Options(Path()).capacity


class Queue(Side):
    """The standard library's queue, which is not bounded, and its thread."""

    def handlers(self) -> list[logging.Handler]:
        """Return the queue's handler, and the file's."""
        file = self._file(JsonFormatter())
        self._queue: queue.Queue[Any] = queue.Queue(-1)
        self._listener = logging.handlers.QueueListener(self._queue, file)
        self._listener.start()
        return [logging.handlers.QueueHandler(self._queue), file]

    def drain(self) -> None:
        """Wait for the listener."""
        self._queue.join()

    def close(self) -> None:
        """Stop the listener too."""
        self._listener.stop()
        super().close()


class Direct(Side):
    """A write for each record, by who logs it."""

    def handlers(self) -> list[logging.Handler]:
        """Return the file's handler."""
        return [self._file(JsonFormatter("%(asctime)s %(levelname)s %(message)s"))]


class Plain(Side):
    """As `Direct`, and a line of text instead of JSON: less than anybody else writes."""

    def handlers(self) -> list[logging.Handler]:
        """Return the file's handler."""
        return [self._file(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))]


class Structlog(Side):
    """structlog's own way to be quick: JSON straight into a file, which nobody rotates."""

    def handlers(self) -> list[logging.Handler]:
        """Return a handler that does nothing; structlog has none."""
        try:
            import structlog  # noqa: PLC0415 - it may not be there
        except ImportError:
            raise LeftOut("it is not installed (tests/benchmarks/requirements.txt)") from None
        self._structlog: Any = structlog
        self._open = (self.directory / FILE).open("a")
        self._log = self._wrapped(self._open)
        return [logging.NullHandler()]

    def log(self, place: int) -> None:
        """Log one record."""
        self._log.info("Cache CLEAR pattern", pattern=PATTERN, keys=place, **FIELDS)

    def stall(self, until: float) -> None:
        """Let its writes take until then; it has looked the file's up once."""
        self._log = self._wrapped(Stalling(self._open, until))

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def _wrapped(self, file: Any) -> Any:
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
SIDES: dict[str, Callable[[Path], Side]] = {
    OURS: Ours, QUEUE: Queue, DIRECT: Direct, STRUCTLOG: Structlog, PLAIN: Plain,
}  # fmt: skip
