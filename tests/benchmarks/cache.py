"""Compares the cache with other libraries: `python -m tests.benchmarks.cache` prints a report and writes it to `docs/`.

The benchmark starts PostgreSQL and Valkey and creates rows. For each measure, it empties Valkey, starts one process
per benchmarked library (peer), and checks that all peers read the same data. Each round measures all peers in turn, so
that a slow moment of the machine affects all peers. All rounds are repeated with new processes, because memory layout
alone makes one process about 10 % faster than the next. The report shows medians. Measures that send requests to a
server are repeated with all processes on one core (see `report.NOTES`).
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import redis

from tests import isolation
from tests.benchmarks import plot, report
from tests.benchmarks.dataset import Dataset
from tests.benchmarks.peers import PEERS
from tests.benchmarks.processes import Commands, PeerFailed, Result, commands, running
from tests.servers import servers

Benchmarked = tuple[report.Results, str, Sequence[str]]
SERVER_BOUND = ("row", "page", "many", "save")  # measures that mostly wait for Valkey or PostgreSQL
DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


@dataclass(frozen=True)
class Effort:
    """How long the benchmark measures each library: seconds per round, number of processes, and rounds per process."""

    seconds: float
    starts: int
    rounds: int


FULL, QUICK = Effort(seconds=0.1, starts=3, rounds=3), Effort(seconds=0.02, starts=1, rounds=3)


def main(arguments: list[str]) -> None:
    """Run the benchmark, print its report, and write the report to `docs/`."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cache", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run that does not write to docs/")
    parser.add_argument("--only", default="", metavar="MEASURES", help=f"only these of {', '.join(report.TITLES)}")
    options = parser.parse_args(arguments)
    only = tuple(filter(None, options.only.split(",")))
    effort, measures = QUICK if options.quick else FULL, only or tuple(report.TITLES)
    results, machine, skipped = _run_in_process(effort, measures, on_one_core=False)
    server_bound = [name for name in SERVER_BOUND if name in measures and hasattr(os, "sched_setaffinity")]
    on_one_core, *_ = _run_in_process(effort, server_bound, on_one_core=True)
    text = report.write(results, on_one_core, machine, skipped)
    print(text)
    if not (options.quick or only):
        (DOCS / "benchmarks.md").write_text(text, encoding="utf-8")
        plot.draw(report.medians(results), DOCS / "benchmarks.svg")


def _run_in_process(effort: Effort, measures: Sequence[str], *, on_one_core: bool) -> Benchmarked:
    """Run the benchmark in a new process, because a process can set up Django's settings and the servers only once."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_benchmark, effort, measures, on_one_core).result()


def _benchmark(effort: Effort, measures: Sequence[str], on_one_core: bool) -> Benchmarked:  # noqa: FBT001 - `submit` passes the argument by position
    """Measure all libraries; return the results, the machine's description, and the reasons for skipping libraries."""
    if on_one_core:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # child processes run on this core too
    with servers({}) as variables:
        os.environ.update(variables)
        isolation.set_up(database=variables["DATABASE_URL"])
        from tests.benchmarks import machine, rows  # noqa: PLC0415 - the import needs configured Django settings

        dataset = rows.create()
        with commands(PEERS) as (found, skipped):
            results = {name: _measure_with_retry(name, found, dataset, effort) for name in measures}
        return results, machine.describe(), skipped


def _measure_with_retry(
    measure: str, found: Commands, dataset: Dataset, effort: Effort
) -> Mapping[str, Sequence[Result]]:
    """Measure all libraries; if one fails, measure all once more, because a slow machine can cause timeouts."""
    try:
        return _rounds(measure, found, dataset, effort)
    except PeerFailed as error:
        print(f"measuring {measure} again: {error}", file=sys.stderr)
        return _rounds(measure, found, dataset, effort)


def _rounds(measure: str, found: Commands, dataset: Dataset, effort: Effort) -> Mapping[str, Sequence[Result]]:
    """Return the results of several rounds for each library that supports the measure."""
    supported = {peer: command for peer, command in found.items() if measure in peer.measures}
    results: dict[str, list[Result]] = {peer.name: [] for peer in supported}
    starts, rounds = (1, 1) if measure == "replay" else (effort.starts, effort.rounds)  # "replay" takes long
    for _ in range(starts):
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            client.flushall()
        with running(supported, dataset, measure, effort.seconds) as processes:
            for _ in range(rounds):
                for process in processes:
                    results[process.peer.name].append(process.measure(measure))
    return results


if __name__ == "__main__":
    main(sys.argv[1:])
