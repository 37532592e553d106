"""Keeps one row of each repeated state: of applied events that say the same, only the newest stays stored.

An instance without a network posts about sixty `connection.update` events a second, for as long as it is down. All of
them are applied, so no state is lost; but after that, a row that only repeats another one is of no use.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from django.db import connection
from django.db.models.fields.json import KeyTextTransform

from conversations.db import bulk
from conversations.evolution.facts import ContactState, ConversationState, Fact, InstanceState, Membership
from conversations.ingest.event_policy import RATE_LIMITED
from conversations.ingest.worker.parse import ParsedEvent
from conversations.models import Instance, WebhookEvent

# As text: decoding what a sender wrote there as JSON, such as thousands of digits, would raise an error.
_DATE_TIME = KeyTextTransform("date_time", "payload")


class State(NamedTuple):
    """The state in one event: a digest of its content without its time, and the time as Evolution wrote it."""

    digest: str
    date_time: str


def collapse(instance: Instance, items: Iterable[tuple[WebhookEvent, ParsedEvent]]) -> tuple[set[int], int]:
    """Delete the rows of repeated states, inside the caller's transaction.

    The digest of a row that stays becomes that of its content without its time, by which a later batch finds the row.

    Args:
        instance: the instance of all events; the caller holds its lock.
        items: events of a batch that were applied, each with its parsed content.

    Returns:
        The primary keys of the deleted rows that are among `items`, and the number of all deleted rows.
    """
    new = {event.pk: _state(event, parsed) for event, parsed in items if event.name in RATE_LIMITED}
    if not new:
        return set(), 0
    rows = WebhookEvent.objects.filter(instance=instance)
    earlier = rows.filter(digest__in={state.digest for state in new.values()}).exclude(pk__in=new)
    known = {pk: State(digest, str(time)) for pk, digest, time in earlier.values_list("pk", "digest", _DATE_TIME)}
    kept = newest_rows(known | new)
    deleted = (known.keys() | new.keys()) - kept
    count = rows.filter(pk__in=deleted).delete()[0]
    bulk.bulk_update(connection, [WebhookEvent(pk=pk, digest=new[pk].digest) for pk in kept & new.keys()], ["digest"])
    return deleted & new.keys(), count


def newest_rows(states: Mapping[int, State]) -> set[int]:
    """Return the primary key of one row for each digest: of the latest time or, of equal times, the lowest.

    >>> newest_rows({1: State("a", "10:00"), 2: State("a", "10:01"), 3: State("a", "10:01"), 4: State("b", "")})
    {2, 4}
    """
    kept: dict[str, int] = {}
    for pk, state in sorted(states.items()):
        if state.digest not in kept or state.date_time > states[kept[state.digest]].date_time:
            kept[state.digest] = pk
    return set(kept.values())


def _state(event: WebhookEvent, parsed: ParsedEvent) -> State:
    payload = event.payload if isinstance(event.payload, dict) else {}
    return State(_content_digest(event, parsed), str(payload.get("date_time")))


def _content_digest(event: WebhookEvent, parsed: ParsedEvent) -> str:
    """Return a digest of the content of an event, without the time at which Evolution sent it."""
    if parsed.facts:
        content = repr([_without_clock(fact) for fact in parsed.facts])
    else:
        payload = event.payload if isinstance(event.payload, dict) else {"": event.payload}
        timeless = {name: value for name, value in payload.items() if name != "date_time"}
        content = json.dumps(timeless, sort_keys=True, default=list)  # of a `LargeList`
    text = f"state\n{event.name}\n{parsed.outcome}\n{parsed.reason}\n{content}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _without_clock(fact: Fact) -> Fact:
    if isinstance(fact, InstanceState | ContactState | ConversationState | Membership):
        return replace(fact, clock="")
    return fact
