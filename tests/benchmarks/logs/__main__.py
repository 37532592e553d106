"""`python -m tests.benchmarks.logs` prints a report and writes the report to `docs/benchmarks-logs.md`.

Each round measures every logging library once, in turn, so that a slow moment of the machine affects all libraries.
The report shows medians.
"""

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.benchmarks.logs import fleet, measures
from tests.benchmarks.logs.adapters import ADAPTERS, DIRECT, OURS, QUEUE, Adapter, OursWithCapacity, PeerUnavailable
from tests.benchmarks.logs.measures import LATE_CALL, STALL, Figures
from tests.benchmarks.report import markdown
from tests.benchmarks.targets import TIMES, Medians, Target
from tests.scratch import scratch_folder

DOCS = Path(__file__).resolve().parent.parent.parent.parent / "docs"

PACKAGES = ("concurrent-log-handler", "python-json-logger", "structlog")


@dataclass(frozen=True)
class Effort:
    """How much to measure: rounds and log records, and the processes and records of the check in `fleet.py`."""

    rounds: int
    records: int
    processes: int
    records_per_process: int


FULL, QUICK = Effort(15, 100_000, 4, 100_000), Effort(5, 10_000, 4, 5_000)


def main(arguments: list[str]) -> None:
    """Run the benchmark and print a report; exit with status 1 if a log record was lost, duplicated or invalid."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.logs", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run that does not write to docs/")
    options = parser.parse_args(arguments)
    effort = QUICK if options.quick else FULL
    by_measure, skipped = measure(effort)
    text = report(by_measure, skipped, effort)
    print(text)
    if not options.quick:
        (DOCS / "benchmarks-logs.md").write_text(text, encoding="utf-8")
    sys.exit(any(by_measure["full"][OURS][name] for name in ("lost", "duplicated", "invalid JSON")))


# --- measuring --------------------------------------------------------------------------------------------------------
def measure(effort: Effort) -> tuple[Medians, list[str]]:
    """Return the medians by measure, logging library and figure, and the reason of each skipped library."""
    with _running_adapters() as (adapters, skipped):
        calls = _rounds(adapters, measures.call, effort.rounds)
        disabled = _rounds({OURS: adapters[OURS]}, measures.disabled, effort.rounds)
        throughput = _rounds(
            adapters, lambda adapter: measures.throughput(adapter, effort.records), max(3, effort.rounds // 5)
        )
    stalled = {name: _stalled(name) for name in adapters}
    with _folder() as folder:
        full = fleet.check(folder, effort.processes, effort.records_per_process)
    return {
        "call": calls,
        "disabled": disabled,
        "throughput": throughput,
        "stalled": stalled,
        "full": {OURS: full},
    }, skipped


def _stalled(name: str) -> Figures:
    """Measure a new adapter during a disk stall; the project's own adapter has the default queue capacity."""
    with _folder() as folder:
        adapter = (OursWithCapacity if name == OURS else ADAPTERS[name])(folder)
        figures = measures.stalled(adapter)
        adapter.close()
        return figures


def _rounds(
    adapters: dict[str, Adapter], measure_once: Callable[[Adapter], Figures], rounds: int
) -> dict[str, dict[str, float]]:
    results: dict[str, list[Figures]] = {name: [] for name in adapters}
    for _ in range(rounds + 1):
        for name, adapter in adapters.items():
            results[name].append(measure_once(adapter))
    # The first round is a warm-up, which the medians exclude.
    return {
        name: {figure: statistics.median(result[figure] for result in figures[1:]) for figure in figures[0]}
        for name, figures in results.items()
    }


@contextmanager
def _running_adapters() -> Iterator[tuple[dict[str, Adapter], list[str]]]:
    adapters: dict[str, Adapter] = {}
    skipped = []
    with _folder() as folder:
        for index, (name, make) in enumerate(ADAPTERS.items()):
            own = folder / str(index)
            own.mkdir()
            try:
                adapters[name] = make(own)
            except PeerUnavailable as reason:
                skipped.append(f"{name} is skipped: {reason}.")
        yield adapters, skipped
        for adapter in adapters.values():
            adapter.close()


@contextmanager
def _folder() -> Iterator[Path]:
    with scratch_folder("bench") as folder:
        yield Path(folder)


# --- reporting --------------------------------------------------------------------------------------------------------
def _figure(measure: str, figure: str, scale: float) -> Callable[[Medians], float | None]:
    return lambda by_measure: by_measure[measure][OURS][figure] * scale


def _ratio(peer: str) -> Callable[[Medians], float | None]:
    return lambda by_measure: by_measure["call"][OURS]["seconds"] / by_measure["call"][peer]["seconds"]


TARGETS = (
    Target("Time of a call for its caller", 10, "µs", _figure("call", "seconds", 1e6), at_least=False),
    Target(f"A call, compared with `{QUEUE}`", 0.71, TIMES, _ratio(QUEUE), at_least=False),
    Target(f"A call, compared with `{DIRECT}`", 0.32, TIMES, _ratio(DIRECT), at_least=False),
    Target("A call below the logger's level", 0.1, "µs", _figure("disabled", "seconds", 1e6), at_least=False),
    Target("Longest call during a disk stall", 100, "ms", _figure("stalled", "longest", 1e3), at_least=False),
    Target("Lost records of all processes", 0, "", _figure("full", "lost", 1), at_least=False),
    Target("Duplicated records", 0, "", _figure("full", "duplicated", 1), at_least=False),
    Target("Lines that are not valid JSON", 0, "", _figure("full", "invalid JSON", 1), at_least=False),
)  # fmt: skip


def report(by_measure: Medians, skipped: Sequence[str], effort: Effort) -> str:
    """Return the report as Markdown."""
    full = by_measure["full"][OURS]
    parts = [
        _machine(), *skipped,
        "## Targets", markdown(("measure", "target", "result"), [
            (target.text, target.requirement, target.verdict(by_measure)) for target in TARGETS
        ]),
        "## Time of a call for its caller",
        _table(by_measure["call"], "seconds", {"wall time": _micro("seconds"), "CPU time": _micro("cpu")}),
        f"## Calls during a disk stall of {STALL:g} s",
        _table(by_measure["stalled"], "longest", {"longest": _longest, f"calls over {LATE_CALL * 1e3:g} ms": _late}),
        f"## {effort.records:,} records without a pause",
        _table(by_measure["throughput"], "records", {
            "written to disk": lambda figures: f"{figures['records']:,.0f}/s",
            "logged": lambda figures: f"{figures['logged']:,.0f}/s",
        }),
        f"## {effort.processes} processes of {effort.records_per_process:,} records each, in the same files",
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
    versions = ", ".join([f"Python {platform.python_version()}", *packages])
    return f"{os.cpu_count()} cores, {platform.system()} on {platform.machine()}. {versions}."


def _table(by_peer: Mapping[str, Figures], by: str, columns: dict[str, Callable[[Figures], str]]) -> str:
    names = sorted(by_peer, key=lambda name: by_peer[name][by], reverse=by == "records")
    return markdown(["", *columns], [[name, *(show(by_peer[name]) for show in columns.values())] for name in names])


def _micro(figure: str) -> Callable[[Figures], str]:
    return lambda figures: f"{figures[figure] * 1e6:.1f} µs"


def _longest(figures: Figures) -> str:
    return f"{figures['longest'] * 1e3:,.1f} ms"


def _late(figures: Figures) -> str:
    return f"{figures['late']:.0f}"


if __name__ == "__main__":
    main(sys.argv[1:])
