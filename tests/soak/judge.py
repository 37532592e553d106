"""What a read is called that does not return what was committed when it began.

DESIGN names one window in which that happens in the shared tier: the store itself lost a live intent, and the write's
`end` has not run. It is counted by what the intent was lost to: a restart or a flush is noticed, and leaves a window to
transactions only that are silent while nobody believes the store; an eviction is not. The README names another one, of
a process that alone is cut off, which only `--partition` brings about. All that is told apart here, write by write, so
that nothing else hides among it. The local tier may be behind by the time of a message, never by more than a second.
"""

import enum
from dataclasses import dataclass

from tests.soak.history import History, Written
from tests.soak.rows import NOBODY, Kind, Rows

LOCAL, SHARED, DATABASE = "local", "shared", "database"
SECOND = 1_000_000_000  # ns
OUTBOX_WITHIN = 2 * SECOND  # of a write's commit: two polls


class Why(enum.Enum):
    """What is to be said of a stale read; the worst first."""

    NOWHERE = "never written"
    NONE = "no excuse"
    OUTBOX = "in the outbox"
    ALONE = "in the outbox, its writer cut off alone"
    LOST = "a live intent was lost to a restart or flush"
    EVICTED = "a live intent was evicted"
    BEHIND = "behind by a message, at most 1 s"

    @property
    def is_named(self) -> bool:
        """Whether it is said beforehand that this happens."""
        return self in (Why.ALONE, Why.LOST, Why.EVICTED, Why.BEHIND)


@dataclass(frozen=True)
class Stale:
    """A read of a row that was behind.

    Attributes:
        slot: the row's.
        seen: the number that it returned; the first one that it missed is one greater.
        needed: the number that was committed when it began.
        began: when, in ns.
        behind: ns since the first write that it missed was committed; None when that is not known.
        why: what it is called.
    """

    slot: int
    seen: int
    needed: int
    began: int
    behind: int | None
    why: Why


class Judge:
    """Judges reads.

    Args:
        history: what they are held against.
        rows: the rows that are read.
        quicker: how many times as fast the outbox is polled.
    """

    def __init__(self, history: History, rows: Rows, quicker: float = 1) -> None:
        self._history = history
        self._rows = rows
        self._outbox_within = OUTBOX_WITHIN / quicker

    def judge(self, tier: str, slot: int, number: int, needed: int, upto: int, began: int) -> Stale | None:  # noqa: PLR0913, PLR0917 - one read
        """Return what is to be said of a read; None when it was right.

        Args:
            tier: which answered.
            slot: the row's.
            number: what was returned, or NOBODY.
            needed: what was committed when the read began.
            upto: what might have been committed when it ended.
            began: when that was, in ns.
        """
        if number == NOBODY and self._rows.kind(slot) is Kind.MORTAL:
            number = upto - upto % 2  # the last deletion that may have been committed
        if needed <= number <= upto:
            return None
        if number > upto or number == NOBODY:
            return Stale(slot, number, needed, began, None, Why.NOWHERE)
        missed = [self._history.written(slot, one) for one in range(number + 1, needed + 1)]
        committed = next((one.committed for one in missed if one is not None and one.committed), None)
        behind = None if committed is None or None in missed else began - committed
        # Each of the writes that it missed would have been enough to make the value invalid.
        whys = {self._why(one, began) for one in missed}
        why = next(why for why in Why if why in whys)
        if tier == LOCAL and why not in (Why.LOST, Why.EVICTED) and behind is not None and behind <= SECOND:
            why = Why.BEHIND
        return Stale(slot, number, needed, began, behind, why)

    def _why(self, one: Written | None, began: int) -> Why:
        """Tell why a read that began then could miss a write."""
        if one is None or (one.ended and one.ended <= began):
            return Why.NONE
        committed = one.committed or began  # a writer that was killed could not note it
        # What was lost after the commit harms nobody: what is loaded from then on has the new value.
        losses = [loss for loss in self._history.losses() if loss.start <= committed and one.began <= loss.end]
        if losses:
            return Why.EVICTED if any(loss.by_eviction for loss in losses) else Why.LOST
        if one.outboxed and began <= committed + self._outbox_within:
            return Why.ALONE if one.outboxed > 1 else Why.OUTBOX
        return Why.NONE
