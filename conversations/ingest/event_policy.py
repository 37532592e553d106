"""Decides by an event's name which events are debounced, which are rate-limited, and which are split into parts.

A latest-state event waits for the end of its debounce window. All events of one window are applied together, so a value
that changed many times is written once. The window's end depends only on the clock, so all processes agree on it. It is
stored with the event as its due time, so a killed process loses no event.
"""

import datetime as dt
from typing import Any

from conversations.evolution.coerce import as_list

# Events that carry only current values. New messages, edits and deletions are never debounced.
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
ACKNOWLEDGEMENT = "messages.update"  # debounced unless it contains an edit or a vote

# Events that Evolution sends repeatedly. Rejecting one with 429 is safe: even if Evolution does not retry it, the next
# one carries the same values. Acknowledgements are not listed because each is sent once.
RATE_LIMITED = frozenset(
    {"presence.update", "contacts.update", "chats.upsert", "chats.update", "connection.update", "qrcode.updated"}
)
HISTORY = frozenset({"messages.set"})
MAX_PARTS = 500  # parts of one body; one statement inserts them all

_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def is_latest_state(name: str, body: object) -> bool:
    """Return whether an event carries only latest-state values.

    Args:
        name: the event's normalised name.
        body: the whole body, of any type.
    """
    if name != ACKNOWLEDGEMENT:
        return name in LATEST_STATE
    data = as_list(body.get("data")) if isinstance(body, dict) else []
    return not any(isinstance(item, dict) and (item.get("message") or item.get("pollUpdates")) for item in data)


def due_at(now: dt.datetime, window: float, instance: int) -> dt.datetime:
    """Return the end of an instance's current debounce window.

    Args:
        now: the current time.
        window: length in seconds; 0 disables debouncing.
        instance: its primary key. It shifts the window, so that not all instances become due at the same moment.
    """
    if not window:
        return now
    phase = (instance * 0.618034) % 1.0  # multiples of the golden ratio spread consecutive keys evenly
    windows = (now - _EPOCH).total_seconds() / window - phase
    return _EPOCH + dt.timedelta(seconds=(int(windows) + 1 + phase) * window)


def split_history(name: str, body: object, chunk: int) -> list[Any]:
    """Split a long history import into bodies of `chunk` items; return any other body as the only item of a list.

    Each part keeps the body's other fields. With more than `MAX_PARTS` parts the parts become larger instead.
    """
    data = body.get("data") if isinstance(body, dict) and name in HISTORY else None
    if not isinstance(body, dict) or not isinstance(data, list) or len(data) <= chunk:
        return [body]
    step = max(chunk, -(-len(data) // MAX_PARTS))
    return [{**body, "data": data[start : start + step]} for start in range(0, len(data), step)]
