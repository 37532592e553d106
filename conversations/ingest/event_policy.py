"""Which events may wait for a moment, which may be held off, and which come in bulk: by what they are.

An event that only carries a latest state waits for the end of its window, and is applied with all others of the same
window: their join is one write. Where a window ends is a matter of the clock alone, so all processes agree on it, and
it is written down with the event: whoever is killed, the last state is applied.
"""

import datetime as dt
from typing import Any

from conversations.evolution.coerce import as_list

# What says nothing but how things are now; messages, edits and deletions never wait.
LATEST_STATE = frozenset(
    {
        "presence.update",
        "contacts.set",
        "contacts.upsert",
        "contacts.update",
        "chats.set",
        "chats.upsert",
        "chats.update",
        "connection.update",
        "qrcode.updated",
        "status.instance",
    }
)
ACKNOWLEDGEMENT = "messages.update"  # unless it brings an edit or a vote as well

# What is said over and over, so that Evolution may be asked to come back with it: even if it never does, the next one
# says the same. An acknowledgement is said once.
RATE_LIMITED = frozenset(
    {"presence.update", "contacts.update", "chats.upsert", "chats.update", "connection.update", "qrcode.updated"}
)
HISTORY = frozenset({"messages.set"})

_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def is_latest_state(name: str, body: object) -> bool:
    """Say whether an event carries a latest state and nothing else.

    Args:
        name: the event's, in one form.
        body: the whole of it, of any type.
    """
    if name != ACKNOWLEDGEMENT:
        return name in LATEST_STATE
    data = as_list(body.get("data")) if isinstance(body, dict) else []
    return not any(isinstance(item, dict) and (item.get("message") or item.get("pollUpdates")) for item in data)


def due_at(now: dt.datetime, window: float, instance: int) -> dt.datetime:
    """Return the end of an instance's window.

    Args:
        now: a moment in it.
        window: seconds; 0 for none.
        instance: its primary key; instances' windows end at different moments, so that not all come due at once.
    """
    if not window:
        return now
    phase = (instance * 0.618034) % 1.0  # the golden ratio spreads consecutive numbers evenly
    past = (now - _EPOCH).total_seconds() / window - phase
    return _EPOCH + dt.timedelta(seconds=(int(past) + 1 + phase) * window)


def split_history(name: str, body: object, chunk: int) -> list[Any]:
    """Return the bodies as which one is kept: itself, or the parts of a long import, of `chunk` items each.

    A part is a body of its own, that says of its items what the whole one says of them.
    """
    data = body.get("data") if isinstance(body, dict) and name in HISTORY else None
    if not isinstance(body, dict) or not isinstance(data, list) or len(data) <= chunk:
        return [body]
    step = max(chunk, -(-len(data) // MAX_PARTS))
    return [{**body, "data": data[start : start + step]} for start in range(0, len(data), step)]


MAX_PARTS = 500  # of one body, which are stored in one statement
