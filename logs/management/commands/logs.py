"""`manage.py logs`: shows filtered log records of all log contexts, ordered by time; can follow new records."""

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
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from logs import levels
from logs.contexts import Context
from logs.formatters import format_line, timestamp
from logs.tail import Line, Tails, merged

DEDUPLICATED_LINES = 1000  # the last lines shown from the log files, which following may read again
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Command(BaseCommand):
    """Shows the log files in `LOG_DIR`."""

    help = noop(
        "Show log records, filtered by context, level, time, request or text; -f also shows new records as they come."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the command-line options."""
        parser.add_argument(
            "-c",
            "--context",
            action="append",
            type=_context,
            metavar="CONTEXT",
            help=_("only this context; may be repeated"),
        )
        parser.add_argument("-l", "--level", type=_level, default=0, help=_("only this level and above, such as warn"))
        parser.add_argument(
            "--since",
            type=_since,
            default=0.0,
            metavar="TIME",
            help=_("only since this time: 10m, 2h, 3d, or an ISO date"),
        )
        parser.add_argument("--request", metavar="ID", help=_("only records of this request (X-Request-ID)"))
        parser.add_argument(
            "-g",
            "--grep",
            type=_pattern,
            metavar="REGEX",
            help=_("only records with a match in the message or a field"),
        )
        parser.add_argument("-n", "--lines", type=_count, metavar="N", help=_("only the last N records (0: none)"))
        parser.add_argument("-f", "--follow", action="store_true", help=_("show new records until Ctrl-C"))
        parser.add_argument("--json", action="store_true", help=_("print the JSON lines of the files"))

    def handle(self, *_args: object, **options: Any) -> None:
        """Show the records in the log files; with `--follow`, then show new records as they are added."""
        with suppress(AttributeError):  # a replaced stdout may have no `reconfigure`
            self.stdout.reconfigure(errors="backslashreplace")
        paths, is_wanted = _paths(options["context"] or list(Context), options["level"]), _filter(options)
        # The tails are opened before the log files are read, so that no record added meanwhile is missed.
        added = Tails(paths if options["follow"] else [])
        existing: Iterable[Line] = filter(is_wanted, merged(paths, options["since"]))
        if options["lines"] is not None:
            existing = deque(existing, maxlen=options["lines"])
        shown: deque[Line] = deque(maxlen=DEDUPLICATED_LINES)
        with suppress(KeyboardInterrupt), _quiet_on_closed_pipe(), closing(added):
            for line in existing:
                self._show(line, as_json=options["json"])
                shown.append(line)
            newest = max((line["timestamp"] for line in shown), default="")
            for line in filter(is_wanted, added if options["follow"] else ()):
                if line["timestamp"] > newest or line not in shown:
                    self._show(line, as_json=options["json"])

    def _show(self, line: Line, *, as_json: bool) -> None:
        text = json.dumps(line, ensure_ascii=False) if as_json else format_line(line, colored=self.stdout.isatty())
        self.stdout.write(text)
        self.stdout.flush()


@contextmanager
def _quiet_on_closed_pipe() -> Iterator[None]:
    """End without an error when the program that reads the output, such as `head`, has ended."""
    try:
        yield
    except BrokenPipeError:
        # At exit Python flushes the rest of the stdout buffer, which would raise BrokenPipeError again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _paths(contexts: Iterable[Context], level: int) -> list[Path]:
    """Return the log files to read; the short `-errors.log` files suffice for WARN and above."""
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
        reason = _("%(text)r is not a context; use one of %(names)s") % {"text": text, "names": ", ".join(Context)}
        raise ArgumentTypeError(reason) from None


def _level(text: str) -> int:
    try:
        return levels.number(text)
    except ValueError:
        names = {"text": text, "names": ", ".join(levels.NAMES.values())}
        raise ArgumentTypeError(_("%(text)r is not a level; use one of %(names)s") % names) from None


def _since(text: str) -> float:
    """Return the time of `--since` in seconds since the epoch."""
    ago = re.fullmatch(r"(\d{1,9})([smhd])", text)
    try:
        if ago:
            return max(0.0, time.time() - int(ago[1]) * SECONDS[ago[2]])
        return dt.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise ArgumentTypeError(_("%(text)r is not a time such as 10m, 2h or an ISO date") % {"text": text}) from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(_("%(text)r is not a number of lines") % {"text": text})
    return min(int(text), sys.maxsize)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        reason = _("%(text)r is not a regular expression: %(error)s") % {"text": text, "error": error}
        raise ArgumentTypeError(reason) from None
