"""The report: what was to be reached and was, and a table for each measure, as Markdown that reads well as it is."""

import statistics
from collections.abc import Mapping, Sequence

from tests.benchmarks import peers
from tests.benchmarks.measures import OPERATIONS, SEED_READS, THREADS, WRITES
from tests.benchmarks.peers import BY_NAME
from tests.benchmarks.processes import Result
from tests.benchmarks.targets import TARGETS, Medians

Results = Mapping[str, Mapping[str, Sequence[Result]]]  # measure → peer → one a round

HEAD = """# Benchmarks

`make bench` writes this page: the cache against its peers, in one run on one machine.

![Times of one row, a list of 50, 100 rows and one save, by peer](benchmarks.svg)"""

NOTES = """How to read it:

* Times are medians of all rounds; the spread is half of what lies between the fastest and the slowest. What differs
  between machines, and from one hour to the next, is times; ratios are what to compare.
* Each peer has a process of its own, without our signals and our `save`, and is used the way its documentation shows.
  All read the same rows, by unix sockets from the same two servers; that they return the same is checked before
  anything is measured.
* They do not promise the same. Django's LocMem and django-redis are filled and emptied by hand; another process' write
  does not reach LocMem, nor cacheops' `local_get`, which also answers from before one's own. cacheops' `local_get` and
  cache-manager give every caller the very object that they keep; here each read makes one anew.
* `fresh=True` passes over this process' memory and asks Valkey. Of a list that has changed most rows are the ones that
  were there before, so a row or a page is decoded once only; “rows never seen” does without that.
* To wake another core costs more than to ask Valkey something, and the system chooses whether one has to be woken: the
  same GET takes 25 µs or 65 µs, from one moment to the next. So what asks a server is measured again with everybody,
  servers included, on one core: there it is work that is compared, and the spread is small. What is done while a caller
  no longer waits, such as the end of a write, counts in full there."""

TIMES_OURS = f"× {peers.OURS}"  # noqa: RUF001 - the sign is meant

TITLES = {
    "row": "One row by its primary key",
    "value": "Any value: a conversation as plain data",
    "page": "A list of 50",
    "many": "100 rows by their primary keys",
    "threads": f"One row, {THREADS} threads in a process",
    "save": "One `save()`",
    "replay": f"A day in short: {OPERATIONS:,} operations, {WRITES:.0%} writes, 10,000 conversations, Zipf",
    "seed": f"The seed's own test: {SEED_READS:,} reads of one conversation, the first of them cold",
}


def medians(results: Results) -> Medians:
    """Return the median of each figure."""
    return {
        measure: {
            name: {figure: statistics.median(one[figure] for one in rounds) for figure in rounds[0]}
            for name, rounds in by_peer.items()
        }
        for measure, by_peer in results.items()
    }


def write(results: Results, on_one_core: Results, machine: str, left_out: Sequence[str]) -> str:
    """Return the whole report."""
    targets = "## What was to be reached\n\n" + _targets(medians(results), medians(on_one_core))
    parts = [HEAD, machine, *left_out, NOTES, targets, *_tables(results, ""), *_tables(on_one_core, ", on one core")]
    return "\n\n".join(parts) + "\n"


# --- tables -----------------------------------------------------------------------------------------------------------
def _targets(found: Medians, on_one_core: Medians) -> str:
    rows = [(one.text, one.wanted, one.verdict(found), one.verdict(on_one_core)) for one in TARGETS]
    return markdown(("target", "wanted", "measured", "on one core"), rows)


def _tables(results: Results, where: str) -> list[str]:
    found = medians(results)
    return [f"## {TITLES[name]}{where}\n\n{_table(name, found, results)}" for name in TITLES if name in results]


def _table(measure: str, found: Medians, results: Results) -> str:
    """Lay one measure out, the fastest first."""
    figures = found[measure]
    ours = figures.get(peers.OURS) or figures.get(peers.OURS_SHARED)
    rows = []
    for name in sorted(figures, key=lambda name: figures[name]["seconds"]):
        one = figures[name]
        row = [name, str(BY_NAME[name].tier), _time(one["seconds"])]
        row.append(f"{one['seconds'] / ours['seconds']:.2f}" if ours else "")
        row.append(_spread([result["seconds"] for result in results[measure][name]]))
        if measure == "threads":
            row.append(f"{1 / one['seconds']:,.0f}")
        if "hits" in one:
            row += [f"{one['hits']:.1%}", f"{one['queries']:.3f}"]
        rows.append(row)
    heads = ["", "answered by", "time", TIMES_OURS, "spread"]
    heads += ["reads/s"] if measure == "threads" else []
    heads += ["hits", "queries a read"] if "hits" in next(iter(figures.values())) else []
    return markdown(heads, rows)


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} µs" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"


def _spread(seconds: Sequence[float]) -> str:
    return f"±{(max(seconds) - min(seconds)) / 2 / statistics.median(seconds):.0%}"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table, its columns aligned, that a terminal shows as well as a page."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    text = [_line(line, widths) for line in lines]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
