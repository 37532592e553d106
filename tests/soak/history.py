"""What was written when, in memory that all processes share: what every read is held against (`judge.py`).

Each write to a row has a number, one greater than that of the write before it, and leaves it in the row. A writer notes
here that it is about to commit number n, and then that it has. So a read that began when n was committed, and ended
when m was about to be, may return n to m and nothing else. The clock (`monotonic_ns`) is the same in all processes.
"""

import mmap
from collections.abc import Iterator
from time import monotonic_ns
from typing import NamedTuple

WRITERS = 2
RING = 256  # writes to a row that are remembered
LOSSES = 4096
FAR = 2**62

_RECORD, _LOSS = 5, 3  # numbers: those of `Written` and `Loss`
_BEGAN, _COMMITTED, _ENDED, _OUTBOXED = range(1, _RECORD)


class Written(NamedTuple):
    """One write to one row. Times are in ns, 0 for what has not happened (yet, or because its writer died).

    `outboxed` is 0 for a write that was announced, 1 for one that was not, 2 when its process alone was cut off.
    """

    number: int
    began: int
    committed: int
    ended: int
    outboxed: int


class Loss(NamedTuple):
    """From when until when (ns) the store may have lost intents, and whether by evicting them, which nobody notices."""

    start: int
    end: int
    by_eviction: int


class History:
    """The history of some rows. To be made before the processes are forked; each writer notes under its own number."""

    def __init__(self, slots: int) -> None:
        sizes = [slots] * (2 * WRITERS) + [slots * RING * _RECORD, _LOSS * LOSSES, 1]
        numbers = memoryview(mmap.mmap(-1, 8 * sum(sizes))).cast("q")
        views = []
        for size in sizes:
            views.append(numbers[:size])
            numbers = numbers[size:]
        self.about = views[:WRITERS]
        self.committed = views[WRITERS : 2 * WRITERS]
        self._records, self._losses, self._lost = views[2 * WRITERS :]

    # --- for writers --------------------------------------------------------------------------------------------------
    def opens(self, writer: int, slot: int, number: int) -> None:
        """Note that a write is about to begin."""
        at = self._at(slot, number)
        self._records[at] = 0
        for field, value in ((_BEGAN, monotonic_ns()), (_COMMITTED, 0), (_ENDED, 0), (_OUTBOXED, 0)):
            self._records[at + field] = value
        self._records[at] = number
        self.about[writer][slot] = number

    def commits(self, writer: int, slot: int, number: int) -> None:
        """Note that a write is committed."""
        self._records[self._at(slot, number) + _COMMITTED] = monotonic_ns()
        self.committed[writer][slot] = number

    def outboxed(self, slot: int, number: int, *, alone: bool) -> None:
        """Note that the store does not know of a write; whether its process alone was cut off."""
        self._records[self._at(slot, number) + _OUTBOXED] = 1 + alone

    def ends(self, slot: int, number: int) -> None:
        """Note that the store knows that a write is over."""
        at = self._at(slot, number)
        if self._records[at] == number and not self._records[at + _ENDED]:
            self._records[at + _ENDED] = monotonic_ns()

    def touched(self, slot: int, since: int) -> None:
        """Note that a row was touched from the outbox, which is as good as the end of all that was committed before."""
        for number in range(max(1, self.needed(slot) - RING + 1), self.needed(slot) + 1):
            one = self.written(slot, number)
            if one is not None and 0 < one.committed <= since:
                self.ends(slot, number)

    # --- for who injects faults ---------------------------------------------------------------------------------------
    def loses(self, *, by_eviction: bool) -> int:
        """Note that the store may lose intents from now on; return what `lost` is to be given."""
        which = self._lost[0]
        for place, value in enumerate(Loss(monotonic_ns(), FAR, int(by_eviction))):
            self._losses[_LOSS * which + place] = value
        self._lost[0] = which + 1
        return which

    def lost(self, which: int) -> None:
        """Note that the store loses no more."""
        self._losses[_LOSS * which + 1] = monotonic_ns()

    # --- for readers --------------------------------------------------------------------------------------------------
    def needed(self, slot: int) -> int:
        """Return the last number that is committed."""
        return max(committed[slot] for committed in self.committed)

    def upto(self, slot: int) -> int:
        """Return the last number that may be committed."""
        return max(about[slot] for about in self.about)

    def written(self, slot: int, number: int) -> Written | None:
        """Return what is known of a write; None when it is too long ago."""
        at = self._at(slot, number)
        found = Written(*self._records[at : at + _RECORD])
        return found if found.number == number else None

    def losses(self) -> Iterator[Loss]:
        """Yield when the store lost intents."""
        for which in range(self._lost[0]):
            yield Loss(*self._losses[_LOSS * which : _LOSS * (which + 1)])

    def _at(self, slot: int, number: int) -> int:
        return (slot * RING + number % RING) * _RECORD
