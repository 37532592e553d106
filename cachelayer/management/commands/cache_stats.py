"""`manage.py cache_stats`: what the caches of all processes have done, by namespace and tier."""

import json
import time
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand

from cachelayer.ops import statistics
from cachelayer.runtime.metrics import Snapshot

CLEAR_SCREEN = "\x1b[2J\x1b[H"


class Command(BaseCommand):
    """Prints the sums over all processes that have reported, which they do every two seconds."""

    help = "Show what the caches of all processes have done: hits, misses and so on, by namespace and tier."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="for scripts")
        parser.add_argument(
            "--watch", nargs="?", type=float, const=2.0, metavar="SECONDS", help="again and again, until Ctrl-C"
        )
        parser.add_argument("--reset", action="store_true", help="start the sums from nothing, after showing them")

    def handle(self, *_args: object, **options: Any) -> None:
        """Print once, or for as long as it is watched."""
        write = as_json if options["json"] else as_table
        try:
            while True:
                text = write(statistics.totals())
                self.stdout.write(CLEAR_SCREEN + text if options["watch"] and not options["json"] else text)
                if not options["watch"]:
                    break
                time.sleep(options["watch"])
        except KeyboardInterrupt:
            return
        if options["reset"]:
            statistics.reset()


def as_json(found: Snapshot) -> str:
    """Lay the sums out for scripts."""
    namespaces = {
        name: {"hit_rate": statistics.hit_rate(counts), **statistics.by_tier(counts)}
        for name, counts in statistics.by_namespace(found).items()
    }
    return json.dumps({"namespaces": namespaces, "events": statistics.events(found)}, indent=2)


def as_table(found: Snapshot) -> str:
    """Lay the sums out for people."""
    rows = [["namespace", "tier", *statistics.COLUMNS, "hit rate"]]
    for name, counts in statistics.by_namespace(found).items():
        rate = statistics.hit_rate(counts)
        shown = "" if rate is None else f"{rate:.2%}"
        for tier, of_tier in statistics.by_tier(counts).items():
            first = tier == "local"
            numbers = [str(of_tier.get(column, "")) for column in statistics.COLUMNS]
            rows.append([name if first else "", tier, *numbers, shown if first else ""])
    lines = list(_aligned(rows)) if len(rows) > 1 else ["Nothing has been counted yet."]
    lines += ["", *(f"{times:>9}  {event}" for event, times in statistics.events(found).items())]
    return "\n".join(lines).rstrip()


def _aligned(rows: list[list[str]]) -> Iterable[str]:
    """Lay cells out in columns: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        words = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
        numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield "  ".join([*words, *numbers]).rstrip()
