"""Reports how reads were answered: in DEBUG log lines, and in the header `Cache-Status` of an HTTP response.

Reads that the local cache answers do not change `Cache-Status`, because recording a read would take
time. Whether hits of an entry in the local cache are logged is decided when the entry enters the local cache. So if
DEBUG is turned on later, hits of entries that are already in the local cache are not logged. Log lines contain the
first tag of an entry instead of its cache key, which may contain search terms.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

from cachelayer.protocol.entries import LookupStatus
from logs.contexts import Context

T = TypeVar("T")
LOCAL, SHARED, DATABASE = "local", "shared", "database"

_log = Context.CACHE.logger


# --- the log ----------------------------------------------------------------------------------------------------------
def log_read(status: LookupStatus, tag: str, tier: str, started: float, count: int = 1) -> None:
    """Log one read, or one read of several entries, at the level DEBUG.

    Args:
        status: whether the read was a hit, a miss or a bypass.
        tag: the first tag of the entry; for several entries, the name of their namespace.
        tier: LOCAL, SHARED or DATABASE, whichever answered the read.
        started: the value of `perf_counter` when the read began.
        count: how many entries were read; with 0, nothing is logged.
    """
    if count and _log.isEnabledFor(logging.DEBUG):
        extra = {"tier": tier, "duration_ms": round((perf_counter() - started) * 1000, 3)}
        _log.debug("Cache %s %s", status.name, tag, extra=extra if count == 1 else {**extra, "count": count})


def with_hit_logging(load: Callable[[], T], tag: str) -> Callable[[], T]:
    """Return `load`; if DEBUG is on now, return a function that calls `load` and logs a hit of the local cache."""
    if not _log.isEnabledFor(logging.DEBUG):
        return load

    def load_and_log() -> T:
        started = perf_counter()
        value = load()
        log_read(LookupStatus.HIT, tag, LOCAL, started)
        return value

    return load_and_log


# --- Cache-Status (RFC 9211) ------------------------------------------------------------------------------------------
_STATUSES = ("hit; detail=local", "hit; detail=shared", "fwd=miss", "fwd=bypass")
_RANKS = {LookupStatus.HIT: 1, LookupStatus.MISS: 2, LookupStatus.BYPASS: 3}


@dataclass
class ReadStatus:
    """The worst result of all reads of one HTTP request, where a bypass is worse than a miss, and a miss than a hit."""

    rank: int = 0

    @property
    def cache_status(self) -> str:
        """The value of the HTTP header `Cache-Status`."""
        return f"whatsai; {_STATUSES[self.rank]}"


_current: ContextVar[ReadStatus | None] = ContextVar("cachelayer_reads", default=None)


@contextmanager
def track_reads() -> Iterator[ReadStatus]:
    """Collect the results of the reads inside the `with` block."""
    status = ReadStatus()
    before = _current.set(status)
    try:
        yield status
    finally:
        _current.reset(before)


def record(status: LookupStatus) -> None:
    """Record the result of a read that the local cache could not answer, for `track_reads`."""
    reads = _current.get()
    if reads is not None:
        reads.rank = max(reads.rank, _RANKS[status])
