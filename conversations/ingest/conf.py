"""The setting `INGEST` with its defaults, and when an event is due or retried."""

import datetime as dt
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings

from logs.contexts import Context


@dataclass(frozen=True)
class Options:
    """The options of the setting `INGEST`.

    Attributes:
        window: debounce window in seconds: latest-state events of one window are applied together.
        interval: minimum seconds between two batches of one instance.
        batch: maximum number of an instance's events applied in one transaction.
        chunk: number of messages of a history import stored as one event.
        queue_limit: maximum queue depth; beyond it the endpoint answers 503.
        rate_limit: repeated states accepted per second, instance and process; beyond it the endpoint answers 429.
        attempts: how often the worker tries to apply an event before the event fails.
        keep_days: days for which applied events are kept.
        pending_days: days for which a pending update waits for its message.
        in_web_process: whether a web process runs a worker too; otherwise only `manage.py ingest` does.
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
CLOCK_SKEW_LIMIT = 2 * LONGEST_RETRY  # no due time is set this far ahead; a later one comes from a wrong clock


def is_due(moment: dt.datetime, now: dt.datetime) -> bool:
    """Return whether a due time has passed. Times beyond `CLOCK_SKEW_LIMIT` come from clock skew and count as due."""
    return moment <= now or moment > now + CLOCK_SKEW_LIMIT


def retry_after(attempts: int) -> dt.timedelta:
    """Return the delay before the next attempt. It doubles with each failed attempt, up to `LONGEST_RETRY`.

    >>> [retry_after(attempts).seconds for attempts in (1, 2, 3, 20)]
    [2, 4, 8, 3600]
    """
    return min(FIRST_RETRY * float(2 ** min(attempts - 1, 20)), LONGEST_RETRY)
