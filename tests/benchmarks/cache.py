"""The cache against its peers: `python -m tests.benchmarks.cache`, which prints a report and puts it into `docs/`.

It starts PostgreSQL and Valkey, fills them, and starts a process for each peer. In each round every process makes each
of its measurements once, in turn, so that a slow moment of the machine falls on all alike; medians count.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import isolation
from tests.benchmarks import plot, report
from tests.benchmarks.peers import PEERS
from tests.benchmarks.processes import PeerProcess, Result, running
from tests.servers import servers

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


@dataclass(frozen=True)
class Effort:
    """How long to measure: seconds of one measurement, and rounds; a replay takes long by itself."""

    seconds: float
    rounds: int
    replays: int


FULL, QUICK = Effort(seconds=0.1, rounds=7, replays=1), Effort(seconds=0.02, rounds=3, replays=1)


def main(arguments: list[str]) -> None:
    """Measure, and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cache", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, for a look: docs/ stays as it is")
    parser.add_argument("--only", default="", metavar="MEASURES", help=f"of {', '.join(report.TITLES)}; docs/ stays")
    options = parser.parse_args(arguments)
    only = tuple(filter(None, options.only.split(",")))
    with servers({}) as variables:
        os.environ.update(variables)
        isolation.set_up(database=variables["DATABASE_URL"])
        results, text = benchmark(QUICK if options.quick else FULL, only or tuple(report.TITLES))
    print(text)
    if not (options.quick or only):
        (DOCS / "benchmarks.md").write_text(text, encoding="utf-8")
        plot.draw(report.medians(results), DOCS / "benchmarks.svg")


def benchmark(effort: Effort, measures: Sequence[str]) -> tuple[report.Results, str]:
    """Measure everybody, and return the figures and the report."""
    from tests.benchmarks import machine, rows  # noqa: PLC0415 - there are settings from here on

    scene = rows.create()
    with running(PEERS, scene, effort.seconds) as (processes, left_out):
        results = {name: _rounds(name, processes, effort) for name in measures}
    return results, report.write(results, machine.describe(), left_out)


def _rounds(measure: str, processes: Sequence[PeerProcess], effort: Effort) -> Mapping[str, Sequence[Result]]:
    """Measure one thing at everybody, some times over."""
    measured = [process for process in processes if measure in process.peer.measures]
    found: dict[str, list[Result]] = {process.peer.name: [] for process in measured}
    for _ in range(effort.replays if measure == "replay" else effort.rounds):
        for process in measured:
            found[process.peer.name].append(process.measure(measure))
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
