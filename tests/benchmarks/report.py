"""Writes the report of the cache benchmark as Markdown: the targets, and a table for each measure."""

import statistics
from collections.abc import Mapping, Sequence

from tests.benchmarks import peers
from tests.benchmarks.measures import ONE_CONVERSATION_READS, REPLAY_OPERATIONS, THREADS, WRITE_SHARE
from tests.benchmarks.peers import BY_NAME
from tests.benchmarks.processes import Result
from tests.benchmarks.targets import TARGETS, Medians

Results = Mapping[str, Mapping[str, Sequence[Result]]]  # measure → name of the library → one result per round

HEAD = """# Benchmarks

`make bench` writes this page: a comparison of the cache with its peers in one run on one machine.

![Times of one row, a list of 50, 100 rows and one save, by peer](benchmarks.svg)"""

NOTES = """Notes:

* Times are medians of all rounds. The spread is half of the difference between the fastest and the slowest round.
  Times differ between machines and hours; compare the ratios.
* Each peer runs in its own process, without the project's signals and its `save`, and is used as its documentation
  shows. All peers read the same rows from the same two servers over Unix sockets. Before each measurement the benchmark
  checks that they return the same data.
* The peers give different guarantees. With Django's LocMem and django-redis, the benchmark's adapter stores and
  deletes entries. LocMem and cacheops' `local_get` do not see writes of other processes; `local_get` can even return
  data from before the process' own write. cacheops' `local_get` and cache-manager return the cached object itself to
  every caller; this cache returns a new object for each read.
* `fresh=True` bypasses the local cache and reads from Valkey. Most rows of a changed list are unchanged, so a process
  decodes an unchanged row or page only once. “rows never seen” measures without this memo.
* Waking another core costs more than a Valkey request, and the operating system decides whether it happens: the same
  GET takes 25 µs or 65 µs. Therefore measures that send requests to a server are repeated with all processes and
  servers on one core. These times compare the work done, and their spread is small. They include work that happens
  after the caller continues, such as the end of a write."""

TIMES_OURS = f"× {peers.OURS}"  # noqa: RUF001 - the text contains a multiplication sign

TITLES = {
    "row": "One row by primary key",
    "value": "A plain value: a conversation as JSON data",
    "page": "A list of 50",
    "many": "100 rows by primary key",
    "threads": f"One row, {THREADS} threads in one process",
    "save": "One `save()`",
    "replay": f"Replay: {REPLAY_OPERATIONS:,} operations, {WRITE_SHARE:.0%} writes, 10,000 Zipf-distributed rows",
    "seed": f"One conversation read {ONE_CONVERSATION_READS:,} times, the first read cold",
}


def medians(results: Results) -> Medians:
    """Return the median over all rounds of each figure of each measure and library."""
    return {
        measure: {
            name: {figure: statistics.median(result[figure] for result in rounds) for figure in rounds[0]}
            for name, rounds in by_peer.items()
        }
        for measure, by_peer in results.items()
    }


def write(results: Results, on_one_core: Results, machine: str, skipped: Sequence[str]) -> str:
    """Return the report as Markdown."""
    targets = "## Targets\n\n" + _targets(medians(results), medians(on_one_core))
    parts = [HEAD, machine, *skipped, NOTES, targets, *_tables(results, ""), *_tables(on_one_core, ", on one core")]
    return "\n\n".join(parts) + "\n"


# --- tables -----------------------------------------------------------------------------------------------------------
def _targets(by_measure: Medians, on_one_core: Medians) -> str:
    rows = [
        (target.text, target.requirement, target.verdict(by_measure), target.verdict(on_one_core)) for target in TARGETS
    ]
    return markdown(("measure", "target", "result", "on one core"), rows)


def _tables(results: Results, where: str) -> list[str]:
    by_measure = medians(results)
    return [f"## {TITLES[name]}{where}\n\n{_table(name, by_measure, results)}" for name in TITLES if name in results]


def _table(measure: str, by_measure: Medians, results: Results) -> str:
    """Return the Markdown table of one measure, with the fastest library first."""
    figures = by_measure[measure]
    ours = figures.get(peers.OURS) or figures.get(peers.OURS_SHARED)
    rows = []
    for name in sorted(figures, key=lambda name: figures[name]["seconds"]):
        peer_figures = figures[name]
        row = [name, str(BY_NAME[name].tier), _time(peer_figures["seconds"])]
        row.append(f"{peer_figures['seconds'] / ours['seconds']:.2f}" if ours else "")
        row.append(_spread([result["seconds"] for result in results[measure][name]]))
        if measure == "threads":
            row.append(f"{1 / peer_figures['seconds']:,.0f}")
        if "hits" in peer_figures:
            row += [f"{peer_figures['hits']:.1%}", f"{peer_figures['queries']:.3f}"]
        rows.append(row)
    heads = ["", "read from", "time", TIMES_OURS, "spread"]
    heads += ["reads/s"] if measure == "threads" else []
    heads += ["hits", "queries per read"] if "hits" in next(iter(figures.values())) else []
    return markdown(heads, rows)


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} µs" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"


def _spread(seconds: Sequence[float]) -> str:
    return f"±{(max(seconds) - min(seconds)) / 2 / statistics.median(seconds):.0%}"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are aligned for reading in a terminal."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    text = [_line(line, widths) for line in lines]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
