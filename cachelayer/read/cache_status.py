"""Where the reads of one request were answered from, for `Cache-Status` (RFC 9211).

Only what was not answered by the local tier is noted: a local hit costs nothing here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from cachelayer.protocol.entries import LookupStatus

_SHOWN = ("hit; detail=local", "hit; detail=shared", "fwd=miss", "fwd=bypass")
_RANKS = {LookupStatus.HIT: 1, LookupStatus.MISS: 2, LookupStatus.BYPASS: 3}


@dataclass
class ReadStatus:
    """The reads of one request; the answer as a whole is as good as the worst of them."""

    rank: int = 0

    @property
    def cache_status(self) -> str:
        """The header's value."""
        return f"whatsai; {_SHOWN[self.rank]}"


_current: ContextVar[ReadStatus | None] = ContextVar("cachelayer_reads", default=None)


@contextmanager
def track_reads() -> Iterator[ReadStatus]:
    """Note the reads made inside the block."""
    reads = ReadStatus()
    before = _current.set(reads)
    try:
        yield reads
    finally:
        _current.reset(before)


def record(verdict: LookupStatus) -> None:
    """Note where a read was answered from, beyond the local tier."""
    reads = _current.get()
    if reads is not None:
        reads.rank = max(reads.rank, _RANKS[verdict])
