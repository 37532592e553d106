"""Bounds how many log lines outsiders can cause: the first lines of a kind are logged, and later ones are counted.

Without a limit, anybody who can send requests could fill the log files, until rotation removes the lines that operators
need. The next line of the same kind that is logged contains the number of lines that were left out before it.
"""

import logging
import threading
from collections import Counter
from collections.abc import Hashable

from logs.fork import after_fork
from logs.token_buckets import TokenBuckets

LINES_PER_SECOND = 1 / 30  # lines of one kind that are logged in the long run: fewer than 1 MB a day
BURST_SECONDS = 600.0  # a kind of which no line was logged for this many seconds may log 20 lines at once
# Loggers of libraries that log a warning or an error for each bad request, such as one with a wrong Host header.
OUTSIDERS_LOGGERS = ("django.security", "gunicorn.error")
REFUSALS_LOGGER = "django.security"  # logs an error with a traceback for each request that Django refuses with 400
MAX_LINE_CHARS = 500  # of a message, and of each line of a traceback, that may quote a whole header of a request
MAX_SHOWN_CHARS = 64  # characters of a text of an outsider, such as a path, that a log line shows


class LineLimit:
    """Decides which lines are logged. The kinds of lines must come from a bounded set."""

    def __init__(self) -> None:
        self._buckets = TokenBuckets(BURST_SECONDS)
        self._left_out: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    def admit(self, kind: Hashable) -> dict[str, int] | None:
        """Return the log fields of the next line of a kind, with `left_out`, the number of lines left out before it.

        Returns:
            None if the line must not be logged; the line is then counted.
        """
        is_admitted = self._buckets.take(kind, LINES_PER_SECOND)
        with self._lock:
            if not is_admitted:
                self._left_out[kind] += 1
                return None
            left_out = self._left_out.pop(kind, 0)
        return {"left_out": left_out} if left_out else {}

    def reset(self) -> None:
        """Forget all lines, in a forked child."""
        self._lock = threading.Lock()
        self._left_out.clear()
        self._buckets.reset()


def _is_of_outsiders(record: logging.LogRecord) -> bool:
    """Return whether a library logged a record about a bad request."""
    return record.name.startswith(OUTSIDERS_LOGGERS) and record.levelno >= logging.WARNING


def is_admitted(record: logging.LogRecord) -> bool:
    """Return whether a log record is written; records of libraries about the requests of outsiders are limited.

    The record gets the field `left_out` (see `LineLimit.admit`).
    """
    if not _is_of_outsiders(record):
        return True
    left_out = line_limit.admit((record.name, record.levelno))
    if left_out is not None:
        vars(record).update(left_out)
    return left_out is not None


def cut(record: logging.LogRecord) -> None:
    """Shorten the message and each line of the traceback of a record about a bad request; keep other records.

    A request that was refused is no error of the server: its record becomes a warning without a traceback.
    """
    if not _is_of_outsiders(record):
        return
    if record.name.startswith(REFUSALS_LOGGER):
        record.levelno, record.levelname, record.exc_text = logging.WARNING, "WARNING", None
    record.msg = shorten(record.msg, MAX_LINE_CHARS)
    if record.exc_text:
        record.exc_text = "\n".join(shorten(line, MAX_LINE_CHARS) for line in record.exc_text.split("\n"))


line_limit = LineLimit()  # the process's own; each kind starts with the name of the module that logs it
after_fork(line_limit.reset)


def shorten(text: str, limit: int = MAX_SHOWN_CHARS) -> str:
    """Return a text for a log line: an outsider's text that is longer than `limit` characters is cut.

    >>> shorten("n" * 5000, 8)
    'nnnnnnnn… (5000 characters)'
    """
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
