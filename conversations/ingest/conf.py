"""The setting `INGEST` with its defaults, and the rules for when an event is due and when it is retried."""

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
        window: length of the debounce window in seconds; latest-state events of one window are applied together.
        interval: minimum seconds between two batches of one instance, unless the first left due events over.
        batch: maximum number of an instance's events applied in one transaction.
        chunk: number of records of a body that are stored as one event.
        queue_limit: number of waiting new events above which the webhook endpoint answers 503, and of waiting parts of
            history imports; one instance may use half of it (see `inbox.overload`).
        rate_limit: rate-limited events that a web process accepts per second and instance before it answers 429.
        attempts: number of failed attempts to apply an event after which the event's outcome is failed.
        keep_days: days for which applied events are kept.
        keep_mb: megabytes of unknown events that are kept, and of foreign ones; more of failed events is warned of.
        pending_days: days for which a pending update waits for its message.
        changes_keep_days: days for which the log of changes is kept.
        readings_keep_days: days for which the records of who has read which conversation in the admin are kept.
        media_keep_days: days for which a message keeps its media files; 0 for ever.
        in_web_process: whether each web process runs a worker; if not, only `manage.py ingest` runs workers.
    """

    window: float = 1.0
    interval: float = 0.25
    batch: int = 500
    chunk: int = 200
    queue_limit: int = 100_000
    rate_limit: float = 100.0
    attempts: int = 8
    keep_days: float = 7.0
    keep_mb: int = 1024
    pending_days: float = 7.0
    changes_keep_days: float = 7.0
    readings_keep_days: float = 365.0
    media_keep_days: float = 0.0
    in_web_process: bool = False

    @property
    def skew_limit(self) -> dt.timedelta:
        """Twice the longest time that an event or an instance waits; a due time further ahead is of a wrong clock.

        A host whose clock is set back is kept waiting no longer than this by the due times of before.
        """
        pauses = (dt.timedelta(seconds=seconds) for seconds in (self.window, self.interval))
        return 2 * max(retry_after(self.attempts - 1), MEDIA_LEASE, *pauses)

    @classmethod
    def read(cls) -> "Options":
        """Read the setting `INGEST`; log a warning for each option with an old name.

        Raises:
            TypeError: the setting contains an unknown option.
        """
        return _read(tuple(getattr(settings, "INGEST", {}).items()))


@cache
def _read(items: tuple[tuple[str, Any], ...]) -> Options:
    """Convert the items of the setting, once for each process, because each webhook request reads the options."""
    given = dict(items)
    old = {RENAMED[name]: value for name, value in given.items() if name in RENAMED}
    for name in RENAMED.keys() & given.keys():
        _warn_renamed(name)
    current = {name: value for name, value in given.items() if name not in RENAMED}
    return Options(**{name.lower(): value for name, value in (old | current).items()})


# Old option name → current option name. Old option names work in the current release only.
RENAMED = {"FLOOD": "RATE_LIMIT", "INSIDE": "IN_WEB_PROCESS", "PARK_DAYS": "PENDING_DAYS", "BACKLOG": "QUEUE_LIMIT"}


@cache
def _warn_renamed(name: str) -> None:
    """Warn that an option of `INGEST` has a new name, once for each process and option."""
    Context.GENERAL.logger.warning(
        "Setting RENAMED: %s in INGEST is now %s; the next release rejects it", name, RENAMED[name]
    )


LARGE = 1_000_000  # bytes of a payload; more is inserted and loaded with less memory, and less convenience
FIRST_RETRY = dt.timedelta(seconds=2)
LONGEST_RETRY = dt.timedelta(hours=1)
# For which a worker may write media before others do it again: longer than the slowest step, which a test adds up.
MEDIA_LEASE = dt.timedelta(minutes=6)


def retry_after(attempts: int) -> dt.timedelta:
    """Return the delay before an event's next attempt, which doubles with each failed attempt up to `LONGEST_RETRY`.

    >>> [retry_after(attempts).seconds for attempts in (1, 2, 3, 20)]
    [2, 4, 8, 3600]
    """
    return min(FIRST_RETRY * float(2 ** min(attempts - 1, 20)), LONGEST_RETRY)
