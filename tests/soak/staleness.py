"""Decides whether a read is stale, and assigns a cause to every stale read.

The README documents two cases in which the shared tier may be stale. First, the store lost a live intent, and the
write's `end` has not run yet. A restart or a flush is detected; it affects only transactions that send nothing while
the store is quarantined. An eviction is not detected. Second, only one process is partitioned from the store; only
`--partition` injects that. The checker assigns the cause separately for every missed write, so that no other error can
hide among these cases. The local tier may be stale until the invalidation message arrives, at most for a second.
"""

import enum
from dataclasses import dataclass

from tests.soak.history import History, WriteRecord
from tests.soak.rows import NO_ROW, RowKind, Rows

LOCAL, SHARED, DATABASE = "local", "shared", "database"
SECOND = 1_000_000_000  # ns
OUTBOX_DELAY = 2 * SECOND  # after a commit the outbox is drained within two polls


class Cause(enum.Enum):
    """The cause of a stale read, from the worst to the most harmless."""

    NEVER_WRITTEN = "never written"
    UNEXPLAINED = "unexplained"
    OUTBOX = "in the outbox"
    PARTITION = "in the outbox, only its writer partitioned"
    INTENT_LOST = "a live intent lost to a restart or flush"
    INTENT_EVICTED = "a live intent evicted"
    LOCAL_DELAY = "message delayed, by at most 1 s"

    @property
    def is_documented(self) -> bool:
        """Whether the README documents that this can happen."""
        return self in (Cause.PARTITION, Cause.INTENT_LOST, Cause.INTENT_EVICTED, Cause.LOCAL_DELAY)


@dataclass(frozen=True)
class StaleRead:
    """A stale read of one row.

    Attributes:
        slot: the row's slot.
        number: the write number that the read returned; the first missed write is the next one.
        minimum: the last write committed when the read started.
        started: when the read started, in ns.
        staleness: ns from the commit of the first missed write to the start of the read; None if unknown.
        cause: the worst cause of all missed writes.
    """

    slot: int
    number: int
    minimum: int
    started: int
    staleness: int | None
    cause: Cause


class StalenessChecker:
    """Checks reads against the history.

    Args:
        history: the history of all writes.
        rows: the rows that are read.
        pace: the factor by which the polling of the outbox is sped up.
    """

    def __init__(self, history: History, rows: Rows, pace: float = 1) -> None:
        self._history = history
        self._rows = rows
        self._outbox_delay = OUTBOX_DELAY / pace

    def check(self, tier: str, slot: int, number: int, minimum: int, maximum: int, started: int) -> StaleRead | None:  # noqa: PLR0913, PLR0917 - the values of one read
        """Return a description of a stale read; None if the read is correct.

        Args:
            tier: the tier that answered.
            slot: the row's slot.
            number: the write number that the read returned, or NO_ROW.
            minimum: the last write committed when the read started.
            maximum: the last write started when the read ended.
            started: when the read started, in ns.
        """
        if number == NO_ROW and self._rows.kind(slot) is RowKind.RECREATED:
            number = maximum - maximum % 2  # the last deletion that may be committed
        if minimum <= number <= maximum:
            return None
        if number > maximum or number == NO_ROW:
            return StaleRead(slot, number, minimum, started, None, Cause.NEVER_WRITTEN)
        missed = [self._history.write(slot, missed_number) for missed_number in range(number + 1, minimum + 1)]
        committed = next((write.committed for write in missed if write is not None and write.committed), None)
        staleness = None if committed is None or None in missed else started - committed
        # Each missed write alone should have invalidated the value, so each one needs a cause.
        causes = {self._cause(write, started) for write in missed}
        cause = next(cause for cause in Cause if cause in causes)
        has_lost_intent = cause in (Cause.INTENT_LOST, Cause.INTENT_EVICTED)
        if tier == LOCAL and not has_lost_intent and staleness is not None and staleness <= SECOND:
            cause = Cause.LOCAL_DELAY
        return StaleRead(slot, number, minimum, started, staleness, cause)

    def _cause(self, write: WriteRecord | None, started: int) -> Cause:
        """Return why a read that started at a time could miss a write."""
        if write is None or (write.ended and write.ended <= started):
            return Cause.UNEXPLAINED
        committed = write.committed or started  # a killed writer could not record its commit
        # A loss after the commit does no harm: values loaded after it include the write.
        losses = [loss for loss in self._history.losses() if loss.start <= committed and write.started <= loss.end]
        if losses:
            return Cause.INTENT_EVICTED if any(loss.by_eviction for loss in losses) else Cause.INTENT_LOST
        if write.outboxed and started <= committed + self._outbox_delay:
            return Cause.PARTITION if write.outboxed > 1 else Cause.OUTBOX
        return Cause.UNEXPLAINED
