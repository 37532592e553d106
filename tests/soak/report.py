"""The report: what was read, what was stale, and whether it was enough to say so."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.soak.judge import DATABASE, LOCAL, SHARED, Why

TIERS = (LOCAL, SHARED, DATABASE)
MILLISECOND = 1e6  # ns
READS, OF_SHARED, FAULTS = 1_000_000, 100_000, 10  # a minute; fewer, and the result does not count


class Report:
    """All readers' reports together."""

    def __init__(self, reports: Sequence[Mapping[str, Any]]) -> None:
        self.reads: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        self.stale: Counter[tuple[str, str]] = Counter()
        self.behind: dict[tuple[str, str], list[float]] = {}
        self.details: list[dict[str, Any]] = []
        for one in reports:
            self.reads.update(one["reads"])
            self.rows.update(one["rows"])
            self.stale.update({(tier, why): times for tier, why, times in one["stale"]})
            for tier, why, behind in one["behind"]:
                self.behind.setdefault((tier, why), []).extend(ns / MILLISECOND for ns in behind)
            self.details += one["details"]

    @property
    def is_stale(self) -> bool:
        """Whether a read was stale that nobody has said may be."""
        return any(times and not Why(why).is_named for (_, why), times in self.stale.items())

    def missing(self, duration: float, faults: Mapping[str, int], pace: float) -> list[str]:
        """Return what there was too little of for the result to mean something.

        Args:
            duration: seconds.
            faults: how often each was injected.
            pace: see `pace.py`; by the usual clocks as much takes as many times as long.
        """
        share = duration / 60 * min(1.0, pace)
        have = {"reads": sum(self.reads.values()), "reads of the shared tier": self.reads[SHARED], **faults}
        least = {"reads": READS * share, "reads of the shared tier": OF_SHARED * share}
        return [what for what, times in have.items() if times < int(least.get(what, FAULTS * share))]

    def text(self) -> str:
        """Return the table of reads, and how long after a commit stale ones were."""
        lines = [_row("reads", *TIERS, "all"), _numbers("checked", [self.reads[tier] for tier in TIERS])]
        lines.append(_numbers("rows in sets and lists", [self.rows[tier] for tier in TIERS]))
        lines += [_numbers(f"stale: {why.value}", [self.stale[tier, why.value] for tier in TIERS]) for why in Why]
        lines += ["", _row("how long after the commit, in ms", "median", "99 %", "longest")]
        for (tier, why), behind in sorted(self.behind.items()):
            values = sorted(behind)
            shown = (values[len(values) // 2], values[len(values) * 99 // 100], values[-1])
            lines.append(_row(f"  {tier}: {why}", *(f"{value:,.2f}" for value in shown)))
        return "\n".join(lines)


def table(title: str, counts: Mapping[str, float]) -> str:
    """Return counts as a table."""
    return "\n".join([title, *(_row(f"  {name}", f"{times:,}") for name, times in counts.items())])


def _row(title: str, *words: str) -> str:
    return f"{title:<48}" + "".join(f"{word:>11}" for word in words)


def _numbers(title: str, numbers: Sequence[int]) -> str:
    return _row(f"  {title}", *(f"{number:,}" for number in (*numbers, sum(numbers))))
