"""`manage.py cache_stats`: print the counters of all processes, by namespace and tier."""

import json
import time
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from cachelayer.ops import statistics
from cachelayer.runtime.metrics import Snapshot

CLEAR_SCREEN = "\x1b[2J\x1b[H"


class Command(BaseCommand):
    """Prints the counters summed over all processes; each process adds its counts every two seconds."""

    help = noop("Show the cache counters of all processes (hits, misses and so on), by namespace and tier.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the command-line options."""
        parser.add_argument("--json", action="store_true", help=_("print JSON"))
        parser.add_argument(
            "--watch",
            nargs="?",
            type=float,
            const=2.0,
            metavar="SECONDS",
            help=_("print again every SECONDS (default 2) until Ctrl-C"),
        )
        parser.add_argument("--reset", action="store_true", help=_("set the counters to 0 after printing them"))

    def handle(self, *_args: object, **options: Any) -> None:
        """Print the counters once, or repeatedly with `--watch`."""
        format_totals = format_json if options["json"] else format_table
        try:
            while True:
                text = format_totals(statistics.totals())
                self.stdout.write(CLEAR_SCREEN + text if options["watch"] and not options["json"] else text)
                if not options["watch"]:
                    break
                time.sleep(options["watch"])
        except KeyboardInterrupt:
            return
        if options["reset"]:
            statistics.reset()


def format_json(totals: Snapshot) -> str:
    """Return the counters as JSON."""
    return json.dumps(statistics.report(totals), indent=2)


def format_table(totals: Snapshot) -> str:
    """Return the counters as a table with two rows for each namespace, followed by the counts of events."""
    rows = [[_("namespace"), _("tier"), *map(_, statistics.COLUMNS), _("hit rate")]]
    for name, counts in statistics.by_namespace(totals).items():
        rate = statistics.hit_rate(counts)
        percentage = "" if rate is None else f"{number_format(100 * rate, 2)}%"
        for tier, tier_counts in statistics.by_tier(counts).items():
            is_first = tier == "local"
            numbers = [str(tier_counts.get(column, "")) for column in statistics.COLUMNS]
            rows.append([name if is_first else "", _(tier), *numbers, percentage if is_first else ""])
    lines = list(_align(rows)) if len(rows) > 1 else [_("No counters yet.")]
    lines += ["", *(f"{times:>9}  {event}" for event, times in statistics.events(totals).items())]
    return "\n".join(lines).rstrip()


def _align(rows: list[list[str]]) -> Iterable[str]:
    """Pad the cells of each column to equal width; align the first two columns left, and the numbers right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        words = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
        numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield "  ".join([*words, *numbers]).rstrip()
