"""The history of all writes, in memory shared by all processes: the reference for every read (see `staleness.py`).

The writes to a row are numbered 1, 2, 3 and so on, and each write stores its number in the row. A writer records the
number of a write in the history twice: before the write starts, and after its transaction is committed. If n was the
last committed write when a read started, and m the last started write when the read ended, then the read may return any
number from n to m. The clock `monotonic_ns` is the same in all processes.
"""

import mmap
from collections.abc import Iterator
from time import monotonic_ns
from typing import NamedTuple

WRITERS = 2
KEPT_WRITES = 256  # number of writes to each row that the history keeps
MAX_LOSSES = 4096
NEVER = 2**62

_WRITE_FIELDS, _LOSS_FIELDS = 5, 3  # the number of fields of `WriteRecord`, and of `Loss`
_STARTED, _COMMITTED, _ENDED, _OUTBOXED = range(1, _WRITE_FIELDS)


class WriteRecord(NamedTuple):
    """One write to one row. Times are in ns.

    The time of a step is 0 if the step has not happened, either not yet or because the writer was killed.

    Attributes:
        number: the write's number.
        started: when the writer started the write, before the cache's `begin`.
        committed: when the writer's transaction was committed.
        ended: when the cache's store knew that the write was over.
        outboxed: 0 if the write was not recorded in the outbox; 2 if it was recorded because only its writer could not
            reach the store; 1 if it was recorded for another reason.
    """

    number: int
    started: int
    committed: int
    ended: int
    outboxed: int


class Loss(NamedTuple):
    """A period, from `start` to `end` in ns, in which the store may have lost intents.

    `by_eviction` is 1 if Valkey may have evicted the intents, which the cache cannot detect.
    """

    start: int
    end: int
    by_eviction: int


class History:
    """The history of `slots` rows. Create this object before the reader and writer processes are forked.

    Attributes:
        started: `started[writer][slot]` is the number of the last write to a row that a writer started.
        committed: `committed[writer][slot]`: the sequence number of the last write that the writer committed to
            this slot.
    """

    def __init__(self, slots: int) -> None:
        sizes = [slots] * (2 * WRITERS) + [slots * KEPT_WRITES * _WRITE_FIELDS, _LOSS_FIELDS * MAX_LOSSES, 1]
        numbers = memoryview(mmap.mmap(-1, 8 * sum(sizes))).cast("q")
        views = []
        for size in sizes:
            views.append(numbers[:size])
            numbers = numbers[size:]
        self.started = views[:WRITERS]
        self.committed = views[WRITERS : 2 * WRITERS]
        self._writes, self._losses, self._loss_count = views[2 * WRITERS :]

    # --- called by writers --------------------------------------------------------------------------------------------
    def record_start(self, writer: int, slot: int, number: int) -> None:
        """Record that a writer is about to start a write to the row of a slot."""
        at = self._offset(slot, number)
        self._writes[at] = 0  # write number 0: the record is invalid while its fields are overwritten
        for field, value in ((_STARTED, monotonic_ns()), (_COMMITTED, 0), (_ENDED, 0), (_OUTBOXED, 0)):
            self._writes[at + field] = value
        self._writes[at] = number
        self.started[writer][slot] = number

    def record_commit(self, writer: int, slot: int, number: int) -> None:
        """Record that a write to a row is committed."""
        self._writes[self._offset(slot, number) + _COMMITTED] = monotonic_ns()
        self.committed[writer][slot] = number

    def record_outboxed(self, slot: int, number: int, *, is_partitioned: bool) -> None:
        """Record that a write is in the outbox, and whether that is because only its writer cannot reach the store."""
        self._writes[self._offset(slot, number) + _OUTBOXED] = 1 + is_partitioned

    def record_end(self, slot: int, number: int) -> None:
        """Record that the cache's store knows that a write is over."""
        at = self._offset(slot, number)
        if self._writes[at] == number and not self._writes[at + _ENDED]:
            self._writes[at + _ENDED] = monotonic_ns()

    def record_applied(self, slot: int, before: int) -> None:
        """Record that draining the outbox invalidated a row, which ends all its writes committed by `before` (ns)."""
        last = self.last_committed(slot)
        for number in range(max(1, last - KEPT_WRITES + 1), last + 1):
            write = self.write(slot, number)
            if write is not None and 0 < write.committed <= before:
                self.record_end(slot, number)

    # --- called by the fault injection --------------------------------------------------------------------------------
    def start_loss(self, *, by_eviction: bool) -> int:
        """Record that the store may lose intents from now on; return the index of this loss for `end_loss`."""
        index = self._loss_count[0]
        for field, value in enumerate(Loss(monotonic_ns(), NEVER, int(by_eviction))):
            self._losses[_LOSS_FIELDS * index + field] = value
        self._loss_count[0] = index + 1
        return index

    def end_loss(self, index: int) -> None:
        """Record that the store loses no more intents; `index` is the number that `start_loss` returned."""
        self._losses[_LOSS_FIELDS * index + 1] = monotonic_ns()

    # --- called by readers --------------------------------------------------------------------------------------------
    def last_committed(self, slot: int) -> int:
        """Return the number of the last committed write to a row."""
        return max(committed[slot] for committed in self.committed)

    def last_started(self, slot: int) -> int:
        """Return the number of the last started write to a row, which may also be committed."""
        return max(started[slot] for started in self.started)

    def write(self, slot: int, number: int) -> WriteRecord | None:
        """Return the record of a write; None if a later write has overwritten the record."""
        at = self._offset(slot, number)
        record = WriteRecord(*self._writes[at : at + _WRITE_FIELDS])
        return record if record.number == number else None

    def losses(self) -> Iterator[Loss]:
        """Yield all periods in which the store may have lost intents."""
        for index in range(self._loss_count[0]):
            yield Loss(*self._losses[_LOSS_FIELDS * index : _LOSS_FIELDS * (index + 1)])

    def _offset(self, slot: int, number: int) -> int:
        return (slot * KEPT_WRITES + number % KEPT_WRITES) * _WRITE_FIELDS
