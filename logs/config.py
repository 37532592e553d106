"""The callable for Django's `LOGGING_CONFIG`: one handler on the root logger, and a level for each group of loggers.

Programs without Django use the same configuration: `logging.config.dictConfig(build_dict_config(options))`.
"""

import logging.config
import os
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from logs import files, levels
from logs.handler import CAPACITY, ServiceHandler
from logs.redaction import RedactionFilter


@dataclass(frozen=True)
class Options:
    """The options of the setting `LOGGING`.

    Attributes:
        directory: the folder of the log files; created together with the first log file.
        level: the lowest level logged by the project, Django and gunicorn; other libraries log from WARN on.
        backup_count: how many rotated files are kept of each log file; a log file is rotated at 10 MB.
        capacity: how many log records may wait to be written in each process.
        redaction_key: the secret key for hashing WhatsApp addresses; the same in all processes.
        console: whether log records are also written to the standard error.
    """

    directory: Path
    level: str = "INFO"
    backup_count: int = 5
    capacity: int = CAPACITY
    redaction_key: str = ""
    console: bool = True


def configure(options: dict[str, Any]) -> None:
    """Set up logging from the options in the setting `LOGGING`.

    Raises:
        ImproperlyConfigured: the directory or a log file is not writable.
    """
    chosen = Options(**options)
    check_writable(chosen.directory)
    levels.install()
    logging.captureWarnings(capture=True)
    logging.config.dictConfig(build_dict_config(chosen))
    _flush_on_signals()


def build_dict_config(options: Options) -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`."""
    level = levels.number(options.level)
    propagate = {"handlers": [], "propagate": True}
    at_level = propagate | {"level": level}
    # At level DEBUG, Django logs every SQL query with its parameters, which contain personal data.
    from_info = propagate | {"level": max(level, logging.INFO)}
    # The middleware of `logs` logs each response already, without the query string of the URL.
    from_warning = propagate | {"level": max(level, logging.WARNING)}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"service": {"()": "logs.config.build_handler", "options": options}},
        "root": {"level": max(level, logging.WARNING), "handlers": ["service"]},
        "loggers": {
            "whatsai": at_level, "django": at_level, "django.server": from_warning, "django.db.backends": from_info,
            "gunicorn.error": propagate, "gunicorn.access": from_warning,
        },
    }  # fmt: skip


def build_handler(options: Options) -> ServiceHandler:
    """Build the log handler of the root logger."""
    return ServiceHandler(
        files.ContextFiles(options.directory, backup_count=options.backup_count),
        RedactionFilter(options.redaction_key),
        sys.stderr if options.console else None,
        capacity=options.capacity,
    )


def check_writable(directory: Path) -> None:
    """Check that the directory, or its nearest existing parent, and the existing log files are writable.

    Raises:
        ImproperlyConfigured: the directory or a log file is not writable.
    """
    checked = directory
    try:
        existing = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass
        for checked in filter(Path.exists, (directory / name for name in files.ALL_FILES)):
            checked.open("ab").close()
    except OSError as error:
        text = _("cannot write to %(folder)s: %(error)s") % {"folder": checked, "error": error.strerror}
        raise ImproperlyConfigured(f"LOG_DIR: {text}") from None


def _flush_on_signals() -> None:
    """Write all log records before SIGTERM or SIGHUP ends a process without POSIX signal handlers of its own."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _handle_signal)


def _handle_signal(number: int, _frame: FrameType | None) -> None:
    try:
        logging.shutdown()
    finally:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
