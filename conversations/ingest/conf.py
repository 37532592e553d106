"""The setting `INGEST`, with its defaults."""

import datetime as dt
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings

from logs.contexts import Context


@dataclass(frozen=True)
class Options:
    """What can be set.

    Attributes:
        window: seconds within which events that only carry a latest state are applied together (debounce).
        interval: seconds between two batches of one instance (throttle).
        batch: events of one instance that are applied in one transaction.
        chunk: messages of a history import that are applied with a batch.
        backlog: events that may wait; beyond it new ones are answered 503.
        flood: repeated states that one instance may post a second to one process; more are answered 429.
        attempts: how often an event that cannot be applied is tried.
        keep_days: for which events are kept once they are applied.
        park_days: for which an update waits for its message.
        inside: whether a server process applies events too; else only `manage.py ingest` does.
    """

    window: float = 1.0
    interval: float = 0.25
    batch: int = 500
    chunk: int = 200
    queue_limit: int = 100_000
    rate_limit: float = 100.0
    attempts: int = 8
    keep_days: float = 7.0
    pending_days: float = 7.0
    in_web_process: bool = False

    @classmethod
    def read(cls) -> "Options":
        """Read the setting `INGEST`; log a warning for each option with an old name.

        Raises:
            TypeError: an option is unknown.
        """
        given: dict[str, Any] = getattr(settings, "INGEST", {})
        old = {RENAMED[name]: value for name, value in given.items() if name in RENAMED}
        for name in RENAMED.keys() & given.keys():
            _warn_renamed(name)
        current = {name: value for name, value in given.items() if name not in RENAMED}
        return cls(**{name.lower(): value for name, value in (old | current).items()})


# Old names of options, which work in this release only.
RENAMED = {"FLOOD": "RATE_LIMIT", "INSIDE": "IN_WEB_PROCESS", "PARK_DAYS": "PENDING_DAYS", "BACKLOG": "QUEUE_LIMIT"}


@cache
def _warn_renamed(name: str) -> None:
    """Log the warning once for each process and name."""
    Context.GENERAL.logger.warning(
        "Setting RENAMED: %s in INGEST is now %s; the next release rejects it", name, RENAMED[name]
    )


FIRST_RETRY = dt.timedelta(seconds=2)
LONGEST_RETRY = dt.timedelta(hours=1)
CLOCK_SKEW_LIMIT = 2 * LONGEST_RETRY  # nothing waits for so long: who wrote down such a time had a clock that was ahead


def is_due(moment: dt.datetime, now: dt.datetime) -> bool:
    """Say whether it is time: it is past, or no time that anybody meant."""
    return moment <= now or moment > now + CLOCK_SKEW_LIMIT


def retry_after(attempts: int) -> dt.timedelta:
    """Return how long an event waits that has failed so many times: twice as long each time.

    >>> [retry_after(attempts).seconds for attempts in (1, 2, 3, 20)]
    [2, 4, 8, 3600]
    """
    return min(FIRST_RETRY * float(2 ** min(attempts - 1, 20)), LONGEST_RETRY)
