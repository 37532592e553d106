"""The report of a soak test: reads by tier, stale reads by cause, and whether there were enough reads and faults."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.soak.staleness import DATABASE, LOCAL, SHARED, Cause

TIERS = (LOCAL, SHARED, DATABASE)
MILLISECOND = 1e6  # ns
MIN_READS, MIN_SHARED_READS, MIN_FAULTS = 1_000_000, 100_000, 10  # required in each minute of a soak test


class Report:
    """Adds up the reports of all reader processes (see `Reader.report`)."""

    def __init__(self, reports: Sequence[Mapping[str, Any]]) -> None:
        self.reads: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        self.stale: Counter[tuple[str, str]] = Counter()
        self.staleness: dict[tuple[str, str], list[float]] = {}
        self.details: list[dict[str, Any]] = []
        for report in reports:
            self.reads.update(report["reads"])
            self.rows.update(report["rows"])
            self.stale.update({(tier, cause): count for tier, cause, count in report["stale"]})
            for tier, cause, values in report["staleness"]:
                self.staleness.setdefault((tier, cause), []).extend(ns / MILLISECOND for ns in values)
            self.details += report["details"]

    @property
    def is_stale(self) -> bool:
        """Whether a read was stale for a reason that the README does not document."""
        return any(count and not Cause(cause).is_documented for (_, cause), count in self.stale.items())

    def missing(self, duration: float, faults: Mapping[str, int], pace: float) -> list[str]:
        """Return the names of the read and fault counts that are too low for a reliable result.

        Args:
            duration: how many seconds the soak test ran.
            faults: how often each fault was injected, by the name of the fault.
            pace: the pace (see `pace.py`) as a fraction of the default pace; a slower run needs fewer reads and faults.
        """
        share = duration / 60 * min(1.0, pace)
        counts = {"reads": sum(self.reads.values()), "reads of the shared tier": self.reads[SHARED], **faults}
        minimums = {"reads": MIN_READS * share, "reads of the shared tier": MIN_SHARED_READS * share}
        return [name for name, count in counts.items() if count < int(minimums.get(name, MIN_FAULTS * share))]

    def text(self) -> str:
        """Return two tables as text: the reads of each tier, and the ms from a missed write to the stale read."""
        lines = [_row("reads", *TIERS, "all"), _numbers("checked", [self.reads[tier] for tier in TIERS])]
        lines.append(_numbers("rows in sets and lists", [self.rows[tier] for tier in TIERS]))
        lines += [
            _numbers(f"stale: {cause.value}", [self.stale[tier, cause.value] for tier in TIERS]) for cause in Cause
        ]
        lines += ["", _row("ms from the commit to the stale read", "median", "99 %", "longest")]
        for (tier, cause), staleness in sorted(self.staleness.items()):
            values = sorted(staleness)
            columns = (values[len(values) // 2], values[len(values) * 99 // 100], values[-1])
            lines.append(_row(f"  {tier}: {cause}", *(f"{value:,.2f}" for value in columns)))
        return "\n".join(lines)


def table(title: str, counts: Mapping[str, float]) -> str:
    """Return the text of a table with a title, and a name and a count in each row."""
    return "\n".join([title, *(_row(f"  {name}", f"{count:,}") for name, count in counts.items())])


def _row(title: str, *columns: str) -> str:
    return f"{title:<52}" + "".join(f"{column:>11}" for column in columns)


def _numbers(title: str, numbers: Sequence[int]) -> str:
    return _row(f"  {title}", *(f"{number:,}" for number in (*numbers, sum(numbers))))
