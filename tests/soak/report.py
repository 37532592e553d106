"""The report: what was read, what was stale, what went wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.soak.history import Excuse
from tests.soak.reader import DATABASE, FROM_NOWHERE, LOCAL, SHARED

TIERS = (LOCAL, SHARED, DATABASE)
EVENTS = ("lost intents", "recoveries", "strange stores", "unannounced writes", "outboxed", "drained", "lost channels")
MILLISECOND = 1e6  # ns
A_MINUTE = {"reads": 1_000_000, "shared": 100_000, "faults": 10}  # what one has to have, for its result to count


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
        """Whether a read was stale that may not be: local ones may, by the time of a message; nothing may be invented."""
        return any(
            times and (why == FROM_NOWHERE or (why == Excuse.NONE.value and tier != LOCAL))
            for (tier, why), times in self.stale.items()
        )

    def is_enough(self, duration: float, faults: Mapping[str, int]) -> bool:
        """Whether so much was read, and went wrong, that the result means something."""
        minutes = duration / 60
        return (
            sum(self.reads.values()) >= A_MINUTE["reads"] * minutes
            and self.reads[SHARED] >= A_MINUTE["shared"] * minutes
            and min(faults.values(), default=0) >= int(A_MINUTE["faults"] * minutes)
        )

    def text(self) -> str:
        """Return the table of reads, and the local tier's window."""
        reasons = (*(one.value for one in Excuse), FROM_NOWHERE)
        lines = [_row("reads checked", *TIERS, "all"), _numbers("", [self.reads[tier] for tier in TIERS])]
        lines.append(_numbers("rows in lists and sets", [self.rows[tier] for tier in TIERS]))
        for why in reasons:
            lines.append(_numbers(f"stale: {why}", [self.stale[tier, why] for tier in TIERS]))
        lines += ["", "how long after the commit (ms)             median       99 %    longest"]
        for (tier, why), behind in sorted(self.behind.items()):
            values = sorted(behind)
            shown = (values[len(values) // 2], values[len(values) * 99 // 100], values[-1])
            lines.append(f"  {f'{tier}, {why}':<38}" + "".join(f"{value:>11.2f}" for value in shown))
        return "\n".join(lines)


def table(title: str, counts: Mapping[str, int]) -> str:
    """Return counts as a table."""
    return "\n".join([title, *(f"  {name:<48}{times:>9,}" for name, times in counts.items())])


def _row(title: str, *words: str) -> str:
    return f"{title:<40}" + "".join(f"{word:>12}" for word in words)


def _numbers(title: str, numbers: Sequence[int]) -> str:
    return _row(f"  {title}", *(f"{number:,}" for number in (*numbers, sum(numbers))))
