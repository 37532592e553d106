"""Which events may wait for a moment, and which come in bulk: by their names.

An event that only carries a latest state waits for the end of its window, and is applied with all others of the same
window: their join is one write. Where a window ends is a matter of the clock alone, so all processes agree on it, and
it is written down with the event: whoever is killed, the last state is applied.
"""

import datetime as dt

LATEST_STATE = frozenset(
    {
        "presence.update",
        "contacts.set",
        "contacts.upsert",
        "contacts.update",
        "chats.set",
        "chats.upsert",
        "chats.update",
        "messages.update",
        "connection.update",
        "qrcode.updated",
        "status.instance",
    }
)
HISTORY = frozenset({"messages.set"})

_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def due_at(name: str, now: dt.datetime, window: float, instance: int) -> dt.datetime:
    """Return when an event that came now is to be applied.

    Args:
        name: the event's.
        now: when it came.
        window: seconds; 0 for none.
        instance: whose it is; instances' windows end at different moments, so that not all come due at once.
    """
    if name not in LATEST_STATE or not window:
        return now
    phase = (instance * 0.618034) % 1.0  # the golden ratio spreads consecutive numbers evenly
    past = (now - _EPOCH).total_seconds() / window - phase
    return _EPOCH + dt.timedelta(seconds=(int(past) + 1 + phase) * window)
