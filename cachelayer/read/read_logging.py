"""Reads as lines of the log, at DEBUG: what was asked for, which tier answered, and how long that took.

Whether local hits are told is decided when an entry is put there, so that a hit pays nothing while they are not: who
turns DEBUG on later hears of them as entries are renewed. An entry is called by the first of its tags; its name may
hold what somebody looked for.
"""

import logging
from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

from cachelayer.protocol.entries import LookupStatus
from logs.contexts import Context

T = TypeVar("T")
LOCAL, SHARED, DATABASE = "local", "shared", "database"

_log = Context.CACHE.logger


def log_read(verdict: LookupStatus, tag: str, tier: str, began: float, times: int = 1) -> None:
    """Log one read, or so many at once.

    Args:
        verdict: what became of it.
        tag: what was read.
        tier: who answered.
        began: when, by `perf_counter`.
        times: how many entries that were.
    """
    if times and _log.isEnabledFor(logging.DEBUG):
        said = {"tier": tier, "duration_ms": round((perf_counter() - began) * 1000, 3)}
        _log.debug("Cache %s %s", verdict.name, tag, extra=said if times == 1 else {**said, "count": times})


def with_hit_logging(thaw: Callable[[], T], tag: str) -> Callable[[], T]:
    """Return what makes copies for the local tier, and tells of it if that is wanted now."""
    if not _log.isEnabledFor(logging.DEBUG):
        return thaw

    def told() -> T:
        began = perf_counter()
        value = thaw()
        log_read(LookupStatus.HIT, tag, LOCAL, began)
        return value

    return told
