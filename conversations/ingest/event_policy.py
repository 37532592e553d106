"""Decides whether an event is debounced, rate-limited or split into parts.

A latest-state event waits for the end of its debounce window. All events of one window are applied together, so a value
that changed many times is written once. All processes compute the same end of a window, because the end depends only on
the instance and the current time. The end of the window is stored as the event's due time, so no event is lost if a
process is killed.
"""

import datetime as dt
from itertools import accumulate, groupby
from typing import Any

from conversations.evolution.coerce import records
from conversations.evolution.large_json.values import LargeList

# Names of events that contain only current values. Events with new messages, edits or deletions are never debounced.
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
ACKNOWLEDGEMENT = "messages.update"  # name of events that are debounced unless they contain an edit or a vote

# Names of events that Evolution sends repeatedly. Such an event can safely be rejected with 429: even if Evolution does
# not retry the event, a later event contains the current values. Acknowledgements are not rate-limited, because
# Evolution sends each acknowledgement only once.
RATE_LIMITED = frozenset(
    {"presence.update", "contacts.update", "chats.upsert", "chats.update", "connection.update", "qrcode.updated"}
)
HISTORY = frozenset({"messages.set"})
# Fields that each part of a body repeats: those of every event, and those of an import, if they are short. Only the
# first part keeps other fields, because a body may have any number of them.
REPEATED = frozenset(
    {
        "event",
        "instance",
        "destination",
        "date_time",
        "sender",
        "server_url",
        "apikey",
        "isLatest",
        "progress",
    }
)
# Events whose records name persons, and the field that does. Each person is as much work as a record. The results of a
# poll name the voters of each option.
PERSONS = {
    "groups.upsert": "participants",
    "groups.update": "participants",
    "group.update": "participants",
    "group.participants.update": "participants",
    "presence.update": "presences",
    **dict.fromkeys(("messages.upsert", "messages.set", "messages.update", "send.message"), "pollUpdates"),
}
MAX_REPEATED_LENGTH = 255  # characters, as in the columns of names and server URLs
MAX_PARTS = 500  # maximum parts of one webhook body, all of which one INSERT statement contains

_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def is_latest_state(name: str, body: object) -> bool:
    """Return whether an event contains only latest-state values.

    Args:
        name: the event's normalised name.
        body: the decoded webhook body, of any JSON type.
    """
    if name != ACKNOWLEDGEMENT:
        return name in LATEST_STATE
    data = body.get("data") if isinstance(body, dict) else None
    return not any(
        isinstance(item, dict) and (item.get("message") or item.get("pollUpdates")) for item in records(data)
    )


def due_at(now: dt.datetime, window: float, instance: int) -> dt.datetime:
    """Return the end of an instance's current debounce window.

    Args:
        now: the current time.
        window: length of the debounce window in seconds; 0 disables debouncing.
        instance: the instance's primary key, which shifts the window so that not all instances become due together.
    """
    if not window:
        return now
    phase = (instance * 0.618034) % 1.0  # multiples of the golden ratio spread consecutive primary keys evenly
    windows = (now - _EPOCH).total_seconds() / window - phase
    return _EPOCH + dt.timedelta(seconds=(int(windows) + 1 + phase) * window)


def split(name: str, body: object, chunk: int) -> list[Any]:
    """Split a body with more than `chunk` records into bodies of `chunk` records; return another body alone in a list.

    Each part contains a slice of the list `data`. The first part contains all other fields of the body, the other parts
    contain the short ones of `REPEATED`. If a body would need more than `MAX_PARTS` parts, larger parts are used.
    A record counts with the persons that it names; the last record of a part may exceed the chunk.

    Args:
        name: the event's normalised name.
        body: the decoded webhook body, of any JSON type.
        chunk: the number of records.
    """
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(data, list | LargeList):
        return [body]
    field = PERSONS.get(name)
    found = data.containing(field) if isinstance(data, LargeList) and field else data
    weights = [1 + _count_persons(record, field) for record in found] if field else [1] * len(data)
    step = max(chunk, -(-sum(weights) // MAX_PARTS))
    numbers = (before // step for before in accumulate(weights[:-1], initial=0))
    ends = list(accumulate(len(list(records)) for _, records in groupby(numbers)))
    if len(ends) == 1:
        return [body]
    repeated = {name: body[name] for name in REPEATED & body.keys() if _is_short(body[name])}
    first, *others = (data[start:end] for start, end in zip([0, *ends], ends, strict=False))
    make = type(body)  # a large body has large parts
    return [make({**body, "data": first}), *(make({**repeated, "data": part}) for part in others)]


def _count_persons(record: object, field: str) -> int:
    """Return how many persons a record names in a field: its members, or the voters of the options that it lists."""
    persons = record.get(field) if isinstance(record, dict) else None
    if isinstance(persons, dict):
        return len(persons)
    return sum(map(_count_voters, persons)) if isinstance(persons, list) else 0


def _count_voters(person: object) -> int:
    voters = person.get("voters") if isinstance(person, dict) else None
    return len(voters) if isinstance(voters, list) else 1


def _is_short(value: object) -> bool:
    return not isinstance(value, dict | list) and (not isinstance(value, str) or len(value) <= MAX_REPEATED_LENGTH)
