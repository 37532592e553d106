"""`python -m tests.benchmarks.logs`: prints a report, and puts it into `docs/benchmarks-logs.md`.

In each round every side makes its measurement once, in turn, so that a slow moment of the machine falls on all alike;
medians count.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.benchmarks.logs import fleet, measures
from tests.benchmarks.logs.measures import LATE, STALL, Figures
from tests.benchmarks.logs.sides import DIRECT, OURS, QUEUE, SIDES, LeftOut, OursAsItIs, Side
from tests.benchmarks.report import markdown
from tests.benchmarks.targets import TIMES, Medians, Target

DOCS = Path(__file__).resolve().parent.parent.parent.parent / "docs"
Named = Mapping[str, float]  # figures

PACKAGES = ("concurrent-log-handler", "python-json-logger", "structlog")


@dataclass(frozen=True)
class Effort:
    """How much to measure: rounds, records of a throughput, processes and records of the full size."""

    rounds: int
    records: int
    processes: int
    each: int


FULL, QUICK = Effort(15, 100_000, 4, 100_000), Effort(5, 10_000, 4, 5_000)


def main(arguments: list[str]) -> None:
    """Measure, and report; the exit status is 1 if a record was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.logs", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, for a look: docs/ stays as it is")
    options = parser.parse_args(arguments)
    effort = QUICK if options.quick else FULL
    found, left_out = measure(effort)
    text = report(found, left_out, effort)
    print(text)
    if not options.quick:
        (DOCS / "benchmarks-logs.md").write_text(text, encoding="utf-8")
    sys.exit(any(found["full"][OURS][name] for name in ("lost", "doubled", "not JSON")))


# --- measuring --------------------------------------------------------------------------------------------------------
def measure(effort: Effort) -> tuple[Medians, list[str]]:
    """Return the medians, by measure, side and figure; and who was left out."""
    with _at_work() as (sides, left_out):
        calls = _rounds(sides, measures.call, effort.rounds)
        off = _rounds({OURS: sides[OURS]}, measures.off, effort.rounds)
        written = _rounds(sides, lambda side: measures.written(side, effort.records), max(3, effort.rounds // 5))
    stalled = {name: _stalled(name) for name in sides}
    with _folder() as folder:
        full = fleet.check(folder, effort.processes, effort.each)
    return {"call": calls, "off": off, "written": written, "stalled": stalled, "full": {OURS: full}}, left_out


def _stalled(name: str) -> Figures:
    """Measure a side of its own; ours with room for as many records as it is set up with."""
    with _folder() as folder:
        side = (OursAsItIs if name == OURS else SIDES[name])(folder)
        figures = measures.stalled(side)
        side.close()
        return figures


def _rounds(sides: dict[str, Side], one: Callable[[Side], Figures], rounds: int) -> dict[str, dict[str, float]]:
    found: dict[str, list[Figures]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, side in sides.items():
            found[name].append(one(side))
    # The first round warms up.
    return {
        name: {figure: statistics.median(one[figure] for one in figures[1:]) for figure in figures[0]}
        for name, figures in found.items()
    }


@contextmanager
def _at_work() -> Iterator[tuple[dict[str, Side], list[str]]]:
    sides: dict[str, Side] = {}
    left_out = []
    with _folder() as folder:
        for place, (name, make) in enumerate(SIDES.items()):
            own = folder / str(place)
            own.mkdir()
            try:
                sides[name] = make(own)
            except LeftOut as reason:
                left_out.append(f"{name} is left out: {reason}.")
        yield sides, left_out
        for side in sides.values():
            side.close()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="whatsai-bench-") as folder:
        yield Path(folder)


# --- reporting --------------------------------------------------------------------------------------------------------
def _figure(measure: str, figure: str, scale: float) -> Callable[[Medians], float | None]:
    return lambda found: found[measure][OURS][figure] * scale


def _share(theirs: str) -> Callable[[Medians], float | None]:
    return lambda found: found["call"][OURS]["seconds"] / found["call"][theirs]["seconds"]


TARGETS = (
    Target("A call, for its caller", 10, "µs", _figure("call", "seconds", 1e6), at_least=False),
    Target(f"A call, against `{QUEUE}`", 0.71, TIMES, _share(QUEUE), at_least=False),
    Target(f"A call, against `{DIRECT}`", 0.32, TIMES, _share(DIRECT), at_least=False),
    Target("A call whose level is off", 0.1, "µs", _figure("off", "seconds", 1e6), at_least=False),
    Target("The longest call while a disk stalls", 100, "ms", _figure("stalled", "longest", 1e3), at_least=False),
    Target("Records lost, of all processes", 0, "", _figure("full", "lost", 1), at_least=False),
    Target("Records doubled", 0, "", _figure("full", "doubled", 1), at_least=False),
    Target("Lines that are no JSON", 0, "", _figure("full", "not JSON", 1), at_least=False),
)  # fmt: skip


def report(found: Medians, left_out: Sequence[str], effort: Effort) -> str:
    """Return the whole report."""
    full = found["full"][OURS]
    parts = [
        _machine(), *left_out,
        "## What was to be reached", markdown(("target", "wanted", "measured"), [
            (target.text, target.wanted, target.verdict(found)) for target in TARGETS
        ]),
        "## What a call costs its caller",
        _table(found["call"], "seconds", {"": _micro("seconds"), "of them at work": _micro("work")}),
        f"## Calls while the disk takes nothing for {STALL:g} s",
        _table(found["stalled"], "longest", {"longest": _longest, f"over {LATE * 1e3:g} ms": _late}),
        f"## {effort.records:,} records in one go",
        _table(found["written"], "records", {
            "on the disk": lambda one: f"{one['records']:,.0f} a second",
            "logged": lambda one: f"{one['logged']:,.0f} a second",
        }),
        f"## {effort.processes} processes of {effort.each:,} records each, the same files",
        markdown(list(full), [[f"{value:,.0f}" for value in full.values()]]),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _machine() -> str:
    packages = []
    for package in PACKAGES:
        try:
            packages.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    named = ", ".join([f"Python {platform.python_version()}", *packages])
    return f"{os.cpu_count()} cores, {platform.system()} on {platform.machine()}. {named}."


def _table(by_side: Mapping[str, Named], by: str, columns: dict[str, Callable[[Named], str]]) -> str:
    names = sorted(by_side, key=lambda name: by_side[name][by], reverse=by == "records")
    return markdown(["", *columns], [[name, *(show(by_side[name]) for show in columns.values())] for name in names])


def _micro(figure: str) -> Callable[[Named], str]:
    return lambda one: f"{one[figure] * 1e6:.1f} µs"


def _longest(one: Named) -> str:
    return f"{one['longest'] * 1e3:,.1f} ms"


def _late(one: Named) -> str:
    return f"{one['late']:.0f}"


if __name__ == "__main__":
    main(sys.argv[1:])
