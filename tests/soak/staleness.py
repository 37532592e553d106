"""Decides whether a read is stale, and assigns a cause to every stale read.

The README documents two cases in which a read from the shared tier (Valkey) may be stale:

* Valkey lost the intent of a write whose `end` has not run yet. The cache detects a restart or a flush of Valkey,
  which affect only transactions that send nothing during the quarantine. The cache does not detect that Valkey
  evicted an intent.
* Only one process cannot reach Valkey, which the soak test causes only with the option `--partition`.

The checker assigns a cause to every write that a read missed, so that no error can hide among the documented cases. A
read from the local tier (process memory) may be stale until the invalidation message arrives, for a second at most.
"""

import enum
from dataclasses import dataclass

from tests.soak.history import History, WriteRecord
from tests.soak.rows import NO_ROW, RowKind, Rows

LOCAL, SHARED, DATABASE = "local", "shared", "database"
SECOND = 1_000_000_000  # ns
OUTBOX_DELAY = 2 * SECOND  # ns from a commit until the outbox is drained: at most two polls


class Cause(enum.Enum):
    """The causes of stale reads, ordered from the worst to the most harmless."""

    NEVER_WRITTEN = "never written"
    UNEXPLAINED = "unexplained"
    OUTBOX = "in the outbox"
    PARTITION = "in the outbox, only its writer partitioned"
    INTENT_LOST = "a live intent lost to a restart or flush"
    INTENT_EVICTED = "a live intent evicted"
    LOCAL_DELAY = "message delayed, by at most 1 s"

    @property
    def is_documented(self) -> bool:
        """Whether the README documents this cause of stale reads."""
        return self in (Cause.PARTITION, Cause.INTENT_LOST, Cause.INTENT_EVICTED, Cause.LOCAL_DELAY)


@dataclass(frozen=True)
class StaleRead:
    """A stale read of one row.

    Attributes:
        slot: the row's slot.
        number: the write number that the read returned; the first write that the read missed is the next one.
        minimum: the number of the last write that was committed when the read started.
        started: when the read started, in ns.
        staleness: ns from the commit of the first missed write to the start of the read; None if unknown.
        cause: the worst of the causes of all missed writes.
    """

    slot: int
    number: int
    minimum: int
    started: int
    staleness: int | None
    cause: Cause


class StalenessChecker:
    """Checks whether reads of rows agree with the history of writes.

    Args:
        history: the history of all writes.
        rows: the rows that are read.
        pace: the factor by which the interval between polls of the outbox is shortened.
    """

    def __init__(self, history: History, rows: Rows, pace: float = 1) -> None:
        self._history = history
        self._rows = rows
        self._outbox_delay = OUTBOX_DELAY / pace

    def check(self, tier: str, slot: int, number: int, minimum: int, maximum: int, started: int) -> StaleRead | None:  # noqa: PLR0913, PLR0917 - the arguments describe one read
        """Check one read; return a description if the read is stale, None if the read is correct.

        Args:
            tier: the cache tier that answered the read, or the database.
            slot: the row's slot.
            number: the write number that the read returned, or NO_ROW.
            minimum: the number of the last write that was committed when the read started.
            maximum: the number of the last write that was started when the read ended.
            started: when the read started, in ns.
        """
        if number == NO_ROW and self._rows.kind(slot) is RowKind.RECREATED:
            number = maximum - maximum % 2  # the number of the last deletion that may be committed
        if minimum <= number <= maximum:
            return None
        if number > maximum or number == NO_ROW:
            return StaleRead(slot, number, minimum, started, None, Cause.NEVER_WRITTEN)
        missed = [self._history.write(slot, missed_number) for missed_number in range(number + 1, minimum + 1)]
        committed = next((write.committed for write in missed if write is not None and write.committed), None)
        staleness = None if committed is None or None in missed else started - committed
        # Each missed write should have invalidated the cached value on its own, so each missed write needs a cause.
        causes = {self._cause(write, started) for write in missed}
        cause = next(cause for cause in Cause if cause in causes)
        has_lost_intent = cause in (Cause.INTENT_LOST, Cause.INTENT_EVICTED)
        if tier == LOCAL and not has_lost_intent and staleness is not None and staleness <= SECOND:
            cause = Cause.LOCAL_DELAY
        return StaleRead(slot, number, minimum, started, staleness, cause)

    def _cause(self, write: WriteRecord | None, started: int) -> Cause:
        """Return why a read that started at the time `started` could miss the write."""
        if write is None or (write.ended and write.ended <= started):
            return Cause.UNEXPLAINED
        committed = write.committed or started  # a killed writer could not record the time of its commit
        # An intent that is lost after the commit does no harm: values loaded after the commit include the write.
        losses = [loss for loss in self._history.losses() if loss.start <= committed and write.started <= loss.end]
        if losses:
            return Cause.INTENT_EVICTED if any(loss.by_eviction for loss in losses) else Cause.INTENT_LOST
        if write.outboxed and started <= committed + self._outbox_delay:
            return Cause.PARTITION if write.outboxed > 1 else Cause.OUTBOX
        return Cause.UNEXPLAINED
