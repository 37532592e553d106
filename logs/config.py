"""Django's `LOGGING_CONFIG`: one handler on the root logger, and the levels from which loggers are heard.

The same description serves any program: `logging.config.dictConfig(described(options))`.
"""

import logging.config
import os
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from logs import levels
from logs.files import ContextFiles
from logs.handler import CAPACITY, ServiceHandler
from logs.redaction import RedactionFilter


@dataclass(frozen=True)
class Options:
    """What can be set.

    Attributes:
        directory: where the files are; made when it is first needed.
        level: from which the project, Django and the server are heard; libraries from WARN.
        keep: old files that are kept of each file; they are rotated at 10 MB.
        capacity: records that may wait to be written, in each process.
        key: by which addresses are hashed; secret, and the same in all processes.
        console: whether records are shown on the standard error as well.
    """

    directory: str | Path
    level: str = "INFO"
    keep: int = 5
    capacity: int = CAPACITY
    key: str = ""
    console: bool = True


def configure(options: dict[str, Any]) -> None:
    """Set logging up, as the setting `LOGGING` says.

    Raises:
        ImproperlyConfigured: there is no writing to the directory.
    """
    chosen = Options(**options)
    probe(Path(chosen.directory))
    levels.install()
    logging.captureWarnings(capture=True)
    logging.config.dictConfig(described(chosen))
    _flush_when_terminated()


def described(options: Options) -> dict[str, Any]:
    """Describe the service to `logging.config.dictConfig`."""
    level = levels.number(options.level)
    passed_on = {"handlers": [], "propagate": True}
    heard = passed_on | {"level": level}
    # In detail, Django logs every query with its parameters, and those are people's.
    no_detail = passed_on | {"level": max(level, logging.INFO)}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"service": {"()": "logs.config.service", "options": options}},
        "root": {"level": logging.WARNING, "handlers": ["service"]},
        "loggers": {
            "whatsai": heard, "django": heard, "django.server": heard, "django.db.backends": no_detail,
            "gunicorn.error": passed_on, "gunicorn.access": passed_on,
        },
    }  # fmt: skip


def service(options: Options) -> ServiceHandler:
    """Make the handler."""
    return ServiceHandler(
        ContextFiles(Path(options.directory), keep=options.keep),
        RedactionFilter(options.key),
        sys.stderr if options.console else None,
        capacity=options.capacity,
    )


def probe(directory: Path) -> None:
    """Make sure that the directory, or the nearest one above it that is there, takes a file.

    Raises:
        ImproperlyConfigured: it does not.
    """
    there = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ImproperlyConfigured(f"LOG_DIR: cannot write to {directory}: {error.strerror}") from None


def _flush_when_terminated() -> None:
    """Write everything before SIGTERM ends a process that has no handler of its own for it."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminated)


def _terminated(number: int, _frame: FrameType | None) -> None:
    logging.shutdown()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
