"""`manage.py logs`: the records of all contexts in the order of time, filtered, and followed."""

import datetime as dt
import json
import os
import re
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from logs import levels
from logs.contexts import Context
from logs.formatters import format_line, timestamp
from logs.tail import Line, Tails, merged

RECENT = 1000  # lines of the past that may turn up again among those that come
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Command(BaseCommand):
    """Reads the files in `LOG_DIR`."""

    help = "Show what was logged, by context, level, time or request; -f goes on with what is logged from now on."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("-c", "--context", action="append", type=_context, metavar="CONTEXT", help="one or more")
        parser.add_argument("-l", "--level", type=_level, default=0, help="from this level up, such as warn")
        parser.add_argument("--since", type=_since, default=0.0, metavar="10m", help="a time ago, or an ISO date")
        parser.add_argument("--request", metavar="ID", help="what one request logged (X-Request-ID)")
        parser.add_argument("-g", "--grep", type=_pattern, metavar="REGEX", help="in the message or a field")
        parser.add_argument("-n", "--lines", type=_count, metavar="N", help="the last N only (0: none)")
        parser.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
        parser.add_argument("--json", action="store_true", help="as it is in the files")

    def handle(self, *_args: object, **options: Any) -> None:
        """Show what there is, then what comes."""
        with suppress(AttributeError):  # what stands in for a terminal or a file may have no encoding
            self.stdout.reconfigure(errors="backslashreplace")
        paths, is_wanted = _paths(options["context"] or list(Context), options["level"]), _filter(options)
        # Followed from before the past is read, so that nothing falls in between.
        coming = Tails(paths if options["follow"] else [])
        past: Iterable[Line] = filter(is_wanted, merged(paths, options["since"]))
        if options["lines"] is not None:
            past = deque(past, maxlen=options["lines"])
        shown: deque[Line] = deque(maxlen=RECENT)
        with suppress(KeyboardInterrupt), _unless_nobody_reads(), closing(coming):
            for line in past:
                self._show(line, as_json=options["json"])
                shown.append(line)
            newest = max((line["timestamp"] for line in shown), default="")
            for line in filter(is_wanted, coming if options["follow"] else ()):
                if line["timestamp"] > newest or line not in shown:
                    self._show(line, as_json=options["json"])

    def _show(self, line: Line, *, as_json: bool) -> None:
        text = json.dumps(line, ensure_ascii=False) if as_json else format_line(line, colored=self.stdout.isatty())
        self.stdout.write(text)
        self.stdout.flush()


@contextmanager
def _unless_nobody_reads() -> Iterator[None]:
    """End quietly when what reads the output has ended, such as `head`."""
    try:
        yield
    except BrokenPipeError:
        # Python writes what is left in its buffer once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _paths(contexts: Iterable[Context], level: int) -> list[Path]:
    """Return the files to read: of WARN and above there is a shorter one."""
    ending = "-errors.log" if level >= levels.number("WARN") else ".log"
    return [Path(settings.LOG_DIR) / f"{context}{ending}" for context in dict.fromkeys(contexts)]


def _filter(options: dict[str, Any]) -> Callable[[Line], bool]:
    level, request, pattern = options["level"], options["request"], options["grep"]
    since = timestamp(options["since"])

    def is_wanted(line: Line) -> bool:
        return (
            levels.ACCEPTED.get(line["level"], 0) >= level
            and line["timestamp"] >= since
            and (not request or line.get("request_id") == request)
            and (not pattern or any(pattern.search(str(value)) for value in line.values()))
        )

    return is_wanted


# --- options ----------------------------------------------------------------------------------------------------------
def _context(text: str) -> Context:
    try:
        return Context(text.lower())
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is none of {', '.join(Context)}") from None


def _level(text: str) -> int:
    try:
        return levels.number(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _since(text: str) -> float:
    """Return seconds since the epoch."""
    ago = re.fullmatch(r"(\d{1,9})([smhd])", text)
    try:
        if ago:
            return max(0.0, time.time() - int(ago[1]) * SECONDS[ago[2]])
        return dt.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"{text!r} is neither such as 10m or 2h, nor an ISO date") from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no number of lines")
    return min(int(text), sys.maxsize)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None
