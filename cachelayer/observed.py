"""Where the reads of one request were answered from, for `Cache-Status` (RFC 9211).

Only what was not answered by the local tier is noted: a local hit costs nothing here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from cachelayer.entries import Verdict

_SHOWN = ("hit; detail=local", "hit; detail=shared", "fwd=miss", "fwd=bypass")
_RANKS = {Verdict.HIT: 1, Verdict.MISS: 2, Verdict.BYPASS: 3}


@dataclass
class Reads:
    """The reads of one request; the answer as a whole is as good as the worst of them."""

    rank: int = 0

    @property
    def cache_status(self) -> str:
        """The header's value."""
        return f"whatsai; {_SHOWN[self.rank]}"


_current: ContextVar[Reads | None] = ContextVar("cachelayer_reads", default=None)


@contextmanager
def observed() -> Iterator[Reads]:
    """Note the reads made inside the block."""
    reads = Reads()
    before = _current.set(reads)
    try:
        yield reads
    finally:
        _current.reset(before)


def note(verdict: Verdict) -> None:
    """Note where a read was answered from, beyond the local tier."""
    reads = _current.get()
    if reads is not None:
        reads.rank = max(reads.rank, _RANKS[verdict])
