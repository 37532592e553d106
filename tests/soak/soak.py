"""One soak: the rows, the processes, the faults, and what came of it."""

import json
import logging
import math
import sys
import tempfile
import time
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

from cachelayer.ops import statistics
from cachelayer.runtime.runtime import get_runtime
from tests.soak import pace
from tests.soak.faults import Faults
from tests.soak.fleet import Fleet
from tests.soak.history import History
from tests.soak.options import Options
from tests.soak.orders import Orders
from tests.soak.report import FAULTS, Report, table
from tests.soak.rows import SLOTS, make
from tests.soak.sabotage import AGAINST
from tests.valkey import Valkey

CALM = 1.5  # seconds at the beginning, for the caches to fill
PATIENCE = 5.0  # seconds
FEWER = 5  # times as few kinds of faults, at the least, where a step of the protocol is left out
TOLD = 5  # stale reads that are shown in detail
EVENTS = ("lost intents", "recoveries", "strange stores", "unannounced writes", "outboxed", "drained", "lost channels")


def soak(server: Valkey, options: Options) -> int:
    """Soak as the command line says, print the report, and return the exit status."""
    if options.log:
        logging.getLogger().addHandler(logging.StreamHandler())
    call_command("migrate", verbosity=0)
    pace.quicken(options.pace)  # for all, who are forked from here
    history = History(SLOTS)
    report, faults = _run(server, history, options)
    _print(
        report.text(),
        table("faults injected", faults.injected),
        table("beside that", _beside(history, faults)),
        table(f"clocks made {options.pace:g} times as fast, in seconds", dict(pace.seconds())),
    )
    return _judged(report, report.missing(options.duration, faults.injected, options.pace / pace.PACE))


def _run(server: Valkey, history: History, options: Options) -> tuple[Report, Faults]:
    """Have all processes read and write while everything goes wrong."""
    orders, rows = Orders(), make(history)
    _leave_the_cache()
    with (
        tempfile.TemporaryDirectory(prefix="whatsai-soak-") as folder,
        Fleet(history, rows, orders, Path(folder), quicker=options.pace, sabotage=options.sabotage) as fleet,
    ):
        prefix, partition = settings.CACHELAYER["PREFIX"], options.partition
        only = options.only or AGAINST.get(options.sabotage, "")
        faults = Faults(server, fleet, history, orders, prefix, only=only, partition=partition)
        ends = time.monotonic() + options.duration
        fleet.rest(min(CALM, options.duration / 4))
        faults.inject(ends, _rounds(options))
        fleet.rest(ends - time.monotonic())
        return Report(fleet.finish()), faults


def _beside(history: History, faults: Faults) -> dict[str, int]:
    """Return what else is worth counting."""
    counted = statistics.events(statistics.totals())
    return {
        "writes committed to rows": sum(history.needed(slot) for slot in range(SLOTS)) - SLOTS,
        **{f"keys {what}": times for what, times in faults.gone.items()},
        **{f"{name} that the cache has counted": counted.get(name, 0) for name in EVENTS},
    }


def _leave_the_cache() -> None:
    """Have no part in it from here on: who injects faults is to mend none, and to have no threads when it forks."""
    keeper = get_runtime().threads
    if keeper is not None:
        keeper.stop(within=PATIENCE)


def _rounds(options: Options) -> int:
    """Return how often each fault is to be injected: a little more often than has to be."""
    rounds = math.ceil(FAULTS * options.duration / 60 * min(1, options.pace / pace.PACE)) + 1
    return rounds * FEWER if options.sabotage else rounds


def _judged(report: Report, missing: list[str]) -> int:
    """Say in words what the report says, and return the exit status."""
    if report.details:
        _print("stale reads, times in ms from their beginning", *map(json.dumps, report.details[:TOLD]))
    if report.is_stale:
        _print("STALE: a read returned what it must not.")
        return 1
    if missing:
        _print(f"Nothing stale, but too little to say so: {', '.join(missing)}.")
        return 2
    _print("Not one stale read from the shared tier, outside of the window that is named.")
    return 0


def _print(*parts: str) -> None:
    sys.stdout.write("\n\n".join(parts) + "\n\n")
    sys.stdout.flush()
