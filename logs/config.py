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

from logs import files, levels
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

    directory: Path
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
    check_writable(chosen.directory)
    levels.install()
    logging.captureWarnings(capture=True)
    logging.config.dictConfig(build_dict_config(chosen))
    _flush_when_terminated()


def build_dict_config(options: Options) -> dict[str, Any]:
    """Describe the service to `logging.config.dictConfig`."""
    level = levels.number(options.level)
    passed_on = {"handlers": [], "propagate": True}
    heard = passed_on | {"level": level}
    # In detail, Django logs every query with its parameters, and those are people's.
    no_detail = passed_on | {"level": max(level, logging.INFO)}
    # What was answered, the middleware logs, without its query.
    quiet = passed_on | {"level": max(level, logging.WARNING)}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"service": {"()": "logs.config.build_handler", "options": options}},
        "root": {"level": max(level, logging.WARNING), "handlers": ["service"]},
        "loggers": {
            "whatsai": heard, "django": heard, "django.server": quiet, "django.db.backends": no_detail,
            "gunicorn.error": passed_on, "gunicorn.access": quiet,
        },
    }  # fmt: skip


def build_handler(options: Options) -> ServiceHandler:
    """Make the handler."""
    return ServiceHandler(
        files.ContextFiles(options.directory, keep=options.keep),
        RedactionFilter(options.key),
        sys.stderr if options.console else None,
        capacity=options.capacity,
    )


def check_writable(directory: Path) -> None:
    """Make sure that the directory, or the nearest one above it that is there, takes a file, and so do its files.

    Raises:
        ImproperlyConfigured: it does not.
    """
    written = directory
    try:
        there = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
        for written in filter(Path.exists, (directory / name for name in files.ALL)):
            written.open("ab").close()
    except OSError as error:
        raise ImproperlyConfigured(f"LOG_DIR: cannot write to {written}: {error.strerror}") from None


def _flush_when_terminated() -> None:
    """Write everything before a signal ends a process that has no handler of its own for it."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _terminated)


def _terminated(number: int, _frame: FrameType | None) -> None:
    try:
        logging.shutdown()
    finally:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
