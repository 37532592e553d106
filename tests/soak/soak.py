"""One soak: the rows, the processes, the faults, and what came of it."""

import argparse
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

from cachelayer import statistics
from tests.soak.faults import Faults
from tests.soak.fleet import Fleet
from tests.soak.history import History
from tests.soak.orders import Orders
from tests.soak.report import EVENTS, Report, table
from tests.soak.rows import SLOTS, make
from tests.valkey import Valkey

ROUNDS_A_MINUTE = 11  # of faults
CALM = 1.5  # seconds at the beginning, for the caches to fill
TOLD = 5  # stale reads that are shown in detail


def soak(server: Valkey, options: argparse.Namespace) -> int:
    """Soak as the command line says, print the report, and return the exit status."""
    duration: float = options.duration
    if not options.log:
        console = [one for one in logging.getLogger().handlers if type(one) is logging.StreamHandler]
        logging.getLogger().removeHandler(*console)
    call_command("migrate", verbosity=0)
    history, orders = History(SLOTS), Orders()
    rows = make(history)
    with (
        tempfile.TemporaryDirectory(prefix="whatsai-soak-") as folder,
        Fleet(history, rows, orders, Path(folder), quicker=options.pace, sabotage=options.sabotage) as fleet,
    ):
        faults = Faults(server, fleet, history, orders, settings.CACHELAYER["PREFIX"], options.only)
        began = time.monotonic()
        fleet.rest(min(CALM, duration / 4))
        faults.inject(began + duration, rounds=max(1, round(ROUNDS_A_MINUTE * duration / 60)))
        report = Report(fleet.finish())
    counted = statistics.events(statistics.totals())
    writes = {"committed to rows": sum(history.needed(slot) for slot in range(SLOTS)) - SLOTS}
    events = {name: counted.get(name, 0) for name in EVENTS}
    _print(
        report.text(),
        table("writes", writes),
        table("faults injected", faults.injected),
        table("keys that went", faults.gone),
        table("what the cache counted (of a killed writer, up to its last report)", events),
    )
    if report.details:
        _print("stale reads, times in ms from their beginning", *map(json.dumps, report.details[:TOLD]))
    if report.is_stale:
        _print("STALE: the shared tier gave what it must not.")
        return 1
    if not report.is_enough(duration, faults.injected):
        _print("Not stale, but too little was read, or went wrong, to say so.")
        return 2
    _print("Not one stale read from the shared tier.")
    return 0


def _print(*parts: str) -> None:
    sys.stdout.write("\n\n".join(parts) + "\n\n")
    sys.stdout.flush()
