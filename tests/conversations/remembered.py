"""Rows of the history that `history.remember` would have stored some minutes ago."""

from conversations.models import MinuteRecord
from conversations.monitoring import history


def remember_minutes_ago(minutes: int, **values: int) -> None:
    """Store a row as `history.remember` did some minutes ago, with lower counters."""
    history.remember()
    latest = MinuteRecord.objects.latest("minute")
    for name, value in values.items():
        setattr(latest, name, getattr(latest, name) - value)
    latest.minute -= minutes
    latest.save()  # inserts a row, or replaces that of a minute which has ended since the last call
