"""Decides which process does something that one process at a time must do regularly. No lock is held meanwhile."""

import datetime as dt

from django.utils import timezone

from conversations.db.due_times import due, is_due
from conversations.models import EPOCH, Turn


def take(name: str, seconds: float) -> bool:
    """Return whether this process must act now; no other process may act for `seconds`.

    A time further ahead was set by a host with a wrong clock, and is ignored.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    now, pause = timezone.now(), dt.timedelta(seconds=seconds)
    next_at = Turn.objects.filter(name=name).values_list("next_at", flat=True).first()
    if next_at is None:
        Turn.objects.bulk_create([Turn(name=name, next_at=EPOCH)], ignore_conflicts=True)
    elif not is_due(next_at, now, 2 * pause):
        return False
    return bool(Turn.objects.filter(due("next_at", now, 2 * pause), name=name).update(next_at=now + pause))
