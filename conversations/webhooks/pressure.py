"""What is not taken now, so that what was taken is not late: Evolution tries again after 503 and 429; nothing is lost.

503 while more events wait than workers will soon apply. 429 at an instance that floods: only what it says over and over
is held off so, never a message.
"""

import threading
from time import monotonic

from conversations.ingest import counts
from conversations.ingest.backlog import backlog
from conversations.ingest.conf import Options
from conversations.ingest.policy import REPEATED
from conversations.models import Instance
from conversations.webhooks.refusals import Reason, Refused

BURST = 3.0  # seconds of the allowed rate that may come at once


class Buckets:
    """A token bucket an instance: it fills at the allowed rate, and each event takes one out."""

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[float, float]] = {}  # how full, and when
        self._lock = threading.Lock()

    def take(self, instance: int, rate: float) -> bool:
        """Take one out; return whether there was one."""
        now = monotonic()
        with self._lock:
            level, then = self._buckets.get(instance, (rate * BURST, now))
            level = min(level + (now - then) * rate, rate * BURST)
            has_one = level >= 1
            self._buckets[instance] = (level - has_one, now)
            return has_one


_buckets = Buckets()


def refuse_overload(sender: Instance) -> None:
    """Let an event in, unless too many wait.

    Raises:
        Refused: they do.
    """
    if backlog.is_over():
        counts.note(sender.pk, "overloaded")
        raise Refused(Reason.OVERLOADED, "too many events wait to be applied; send it again later")


def refuse_flood(instance: Instance, event: str) -> None:
    """Let an event in, unless it is one of a flood.

    Raises:
        Refused: it is.
    """
    if event in REPEATED and not _buckets.take(instance.pk, Options.read().flood):
        counts.note(instance.pk, "delayed")
        raise Refused(Reason.FLOODING, f"too many {event} at once; send it again later")
