"""Reporting of reads: DEBUG log lines, and the Cache-Status of one request.

Local hits must cost nothing, so they are not collected, and whether they are logged is decided when an entry enters
the local cache: after DEBUG is turned on, local hits appear in the log as entries are loaded again. Log lines name an
entry by its first tag, because its key may contain search terms.
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
    """Log one read, or several at once, at DEBUG.

    Args:
        status: the outcome.
        tag: the first tag of the entry, or the namespace of several.
        tier: which tier answered: LOCAL, SHARED or DATABASE.
        started: when the read began, by `perf_counter`.
        count: the number of entries.
    """
    if count and _log.isEnabledFor(logging.DEBUG):
        extra = {"tier": tier, "duration_ms": round((perf_counter() - started) * 1000, 3)}
        _log.debug("Cache %s %s", status.name, tag, extra=extra if count == 1 else {**extra, "count": count})


def with_hit_logging(load: Callable[[], T], tag: str) -> Callable[[], T]:
    """Return `load` for the local cache, wrapped so that each hit is logged if DEBUG is on now."""
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
    """The reads of one request. The worst of them is the status of the whole response."""

    rank: int = 0

    @property
    def cache_status(self) -> str:
        """The value of the `Cache-Status` header."""
        return f"whatsai; {_STATUSES[self.rank]}"


_current: ContextVar[ReadStatus | None] = ContextVar("cachelayer_reads", default=None)


@contextmanager
def track_reads() -> Iterator[ReadStatus]:
    """Collect the status of the reads inside the block."""
    status = ReadStatus()
    before = _current.set(status)
    try:
        yield status
    finally:
        _current.reset(before)


def record(status: LookupStatus) -> None:
    """Record the outcome of a read that the local cache could not answer."""
    reads = _current.get()
    if reads is not None:
        reads.rank = max(reads.rank, _RANKS[status])
