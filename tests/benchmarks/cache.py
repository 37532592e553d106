"""The cache against its peers: `python -m tests.benchmarks.cache`, which prints a report and puts it into `docs/`.

It starts PostgreSQL and Valkey and fills them. For each measure it starts a process a peer, with the server empty, sees
that they all read the same, and lets them be measured in turn, round by round, so that a slow moment of the machine
falls on all alike; and all that again with other processes, for by where things lie in memory one is a tenth faster
than the next. Medians count. What asks a server is measured again with everything on one core (`report.NOTES`).
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
from tests.benchmarks.peers import PEERS
from tests.benchmarks.processes import Commands, PeerFailed, Result, commands, running
from tests.benchmarks.scene import Scene
from tests.servers import servers

Benchmarked = tuple[report.Results, str, Sequence[str]]
ASKING = ("row", "page", "many", "save")  # measures whose time is mostly that of asking a server
DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


@dataclass(frozen=True)
class Effort:
    """How long to measure: seconds of one measurement, processes one after the other, and rounds of each."""

    seconds: float
    starts: int
    rounds: int


FULL, QUICK = Effort(seconds=0.1, starts=3, rounds=3), Effort(seconds=0.02, starts=1, rounds=3)


def main(arguments: list[str]) -> None:
    """Measure, and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cache", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, for a look: docs/ stays as it is")
    parser.add_argument("--only", default="", metavar="MEASURES", help=f"of {', '.join(report.TITLES)}; docs/ stays")
    options = parser.parse_args(arguments)
    only = tuple(filter(None, options.only.split(",")))
    effort, measures = QUICK if options.quick else FULL, only or tuple(report.TITLES)
    results, machine, left_out = _apart(effort, measures, on_one_core=False)
    asking = [name for name in ASKING if name in measures and hasattr(os, "sched_setaffinity")]
    again, *_ = _apart(effort, asking, on_one_core=True)
    text = report.write(results, again, machine, left_out)
    print(text)
    if not (options.quick or only):
        (DOCS / "benchmarks.md").write_text(text, encoding="utf-8")
        plot.draw(report.medians(results), DOCS / "benchmarks.svg")


def _apart(effort: Effort, measures: Sequence[str], *, on_one_core: bool) -> Benchmarked:
    """Measure in a process of its own: in each there are settings of Django, and servers, for one time only."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_benchmark, effort, measures, on_one_core).result()


def _benchmark(effort: Effort, measures: Sequence[str], on_one_core: bool) -> Benchmarked:  # noqa: FBT001 - `submit` takes no names
    """Measure everybody; return the figures, what the machine is, and who was left out."""
    if on_one_core:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # and all that is started from here on
    with servers({}) as variables:
        os.environ.update(variables)
        isolation.set_up(database=variables["DATABASE_URL"])
        from tests.benchmarks import machine, rows  # noqa: PLC0415 - there are settings from here on

        scene = rows.create()
        with commands(PEERS) as (found, left_out):
            results = {name: _measured(name, found, scene, effort) for name in measures}
        return results, machine.describe(), left_out


def _measured(measure: str, found: Commands, scene: Scene, effort: Effort) -> Mapping[str, Sequence[Result]]:
    """Measure one thing at everybody; once more, all of them, if somebody failed: a machine stands still sometimes."""
    try:
        return _rounds(measure, found, scene, effort)
    except PeerFailed as error:
        print(f"{measure} is measured again: {error}", file=sys.stderr)
        return _rounds(measure, found, scene, effort)


def _rounds(measure: str, found: Commands, scene: Scene, effort: Effort) -> Mapping[str, Sequence[Result]]:
    """Measure one thing at everybody, some times over."""
    measured = {peer: command for peer, command in found.items() if measure in peer.measures}
    results: dict[str, list[Result]] = {peer.name: [] for peer in measured}
    starts, rounds = (1, 1) if measure == "replay" else (effort.starts, effort.rounds)  # that takes long by itself
    for _ in range(starts):
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            client.flushall()
        with running(measured, scene, measure, effort.seconds) as processes:
            for _ in range(rounds):
                for process in processes:
                    results[process.peer.name].append(process.measure(measure))
    return results


if __name__ == "__main__":
    main(sys.argv[1:])
