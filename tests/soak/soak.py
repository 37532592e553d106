"""One soak test: create the rows, start the processes, inject the faults, and print the report."""

import json
import logging
import math
import time
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

from cachelayer.ops import statistics
from cachelayer.runtime.runtime import get_runtime
from tests.scratch import scratch_folder
from tests.soak import pace, sabotage
from tests.soak.commands import Commands
from tests.soak.faults import Faults
from tests.soak.history import History
from tests.soak.options import Options
from tests.soak.processes import Processes
from tests.soak.report import MIN_FAULTS, Report, table
from tests.soak.rows import SLOTS, create_rows
from tests.valkey import Valkey

WARM_UP = 1.5  # seconds before the first fault, in which the caches fill
STOP_WITHIN = 5.0  # seconds
SABOTAGE_FACTOR = 5  # with sabotage there are fewer kinds of faults, and each kind is injected five times as often
MAX_DETAILS = 5  # number of stale reads that are printed in detail
EVENTS = (
    "lost intents",
    "recoveries",
    "store replacements",
    "unannounced writes",
    "outboxed",
    "drained",
    "lost channels",
)


def soak(server: Valkey, options: Options) -> int:
    """Run the soak test, print the report, and return the exit status."""
    if options.log:
        logging.getLogger().addHandler(logging.StreamHandler())
    call_command("migrate", verbosity=0)
    pace.shorten_intervals(options.pace)  # processes that are forked later inherit the intervals
    history = History(SLOTS)
    report, faults = _run(server, history, options)
    _print(
        report.text(),
        table("faults injected", faults.injected),
        table("other counts", _other_counts(history, faults)),
        table(f"intervals shortened {options.pace:g} times, in seconds", dict(pace.seconds())),
    )
    return _print_result(report, report.missing(options.duration, faults.injected, options.pace / pace.DEFAULT_PACE))


def _run(server: Valkey, history: History, options: Options) -> tuple[Report, Faults]:
    """Let all readers and writers run while faults are injected."""
    commands, rows = Commands(), create_rows(history)
    _stop_own_threads()
    with (
        scratch_folder("soak") as folder,
        Processes(history, rows, commands, Path(folder), pace=options.pace, sabotage=options.sabotage) as processes,
    ):
        prefix, partition = settings.CACHELAYER["PREFIX"], options.partition
        only = options.only or sabotage.FAULTS.get(options.sabotage, "")
        faults = Faults(server, processes, history, commands, prefix, only=only, partition=partition)
        end = time.monotonic() + options.duration
        processes.sleep(min(WARM_UP, options.duration / 4))
        faults.inject(end, _rounds(options))
        processes.sleep(end - time.monotonic())
        return Report(processes.stop()), faults


def _other_counts(history: History, faults: Faults) -> dict[str, int]:
    counted = statistics.events(statistics.totals())
    return {
        "writes committed to rows": sum(history.last_committed(slot) for slot in range(SLOTS)) - SLOTS,
        **{f"keys {reason}": count for reason, count in faults.removed_keys.items()},
        **{f"{name}, counted by the cache": counted.get(name, 0) for name in EVENTS},
    }


def _stop_own_threads() -> None:
    """Stop this process' cache threads: they must not run during a fork, nor repair the injected faults."""
    threads = get_runtime().threads
    if threads is not None:
        threads.stop(within=STOP_WITHIN)


def _rounds(options: Options) -> int:
    """Return how often to inject each fault: once more than the report requires, and more often with sabotage."""
    rounds = math.ceil(MIN_FAULTS * options.duration / 60 * min(1, options.pace / pace.DEFAULT_PACE)) + 1
    return rounds * SABOTAGE_FACTOR if options.sabotage else rounds


def _print_result(report: Report, missing: list[str]) -> int:
    """Print the result of the soak test as text, and return the exit status."""
    if report.details:
        _print("stale reads, times in ms from their start", *map(json.dumps, report.details[:MAX_DETAILS]))
    if report.is_stale:
        _print("STALE: a read returned an old value for a reason that is not documented.")
        return 1
    if missing:
        _print(f"No stale reads, but too few for a result: {', '.join(missing)}.")
        return 2
    _print("No stale reads from the shared tier, except for the documented reasons.")
    return 0


def _print(*parts: str) -> None:
    print(*parts, sep="\n\n", end="\n\n", flush=True)
