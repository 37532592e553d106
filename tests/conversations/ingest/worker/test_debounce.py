"""Debounced and batched events need fewer writes, and give the same rows as events that are applied one by one."""

import copy
import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.ingest.conf import Options
from conversations.ingest.event_policy import is_latest_state
from conversations.ingest.inbox.store import store_body
from conversations.ingest.worker import batch
from conversations.ingest.worker.worker import Worker
from conversations.models import IngestCounter, IngestLease, Instance, WebhookEvent
from tests.conversations.ingest.bodies import Body, envelope, text
from tests.conversations.ingest.row_snapshots import Rows, rows_of
from tests.conversations.ingest.streams import bodies as any_body
from tests.effort import effort
from tests.payloads import captured

pytestmark = pytest.mark.django_db

numbers = itertools.count()
ONE_BY_ONE = Options(window=0, interval=0, batch=1)
INBOX_MODELS = (WebhookEvent, IngestLease, IngestCounter)
DOMAIN_TABLES = {
    model._meta.db_table  # noqa: SLF001 - Django documents the attribute _meta
    for model in apps.get_app_config("conversations").get_models()
    if model not in INBOX_MODELS
}


# --- a realistic stream -----------------------------------------------------------------------------------------------
def clock_at(n: int) -> str:
    return f"2025-12-11T10:{n // 60 % 60:02}:{n % 60:02}.{n * 7 % 1000:03}Z"


def inbound_text(n: int, chat: int) -> Iterator[Body]:
    """Yield the five webhook bodies that Evolution sends for one inbound text message."""
    jid, clock = f"5521{900000000 + chat}@s.whatsapp.net", clock_at(n)
    yield text(f"IN{n}", jid, f"oi {n}", at=n, pushName=f"Ana {chat}") | {"date_time": clock}
    for picture in (None, f"https://pps.whatsapp.net/{chat}"):
        contact = {"remoteJid": jid, "pushName": f"Ana {chat}", "profilePicUrl": picture}
        yield envelope("contacts.update", [contact], clock)
    yield envelope("chats.update", [{"remoteJid": jid}], clock)
    presence = {jid: {"lastKnownPresence": "composing" if n % 2 else "available"}}
    yield envelope("presence.update", {"id": jid, "presences": presence}, clock)


def outbound_text(n: int, chat: int) -> Iterator[Body]:
    """Yield the seven webhook bodies that Evolution API sends for one message that a client sends through the API."""
    jid, clock = f"5521{900000000 + chat}@s.whatsapp.net", clock_at(n)
    sent = text(f"OUT{n}", jid, f"pois não {n}", from_me=True, at=n, status="PENDING")
    yield sent | {"event": "send.message", "date_time": clock}
    for status in ("SERVER_ACK", "DELIVERY_ACK", "READ"):
        yield envelope(
            "messages.update", {"keyId": f"OUT{n}", "remoteJid": jid, "fromMe": True, "status": status}, clock
        )
        yield envelope("chats.upsert", [{"remoteJid": jid, "unreadMessages": 0}], clock)


def realistic_stream() -> list[list[Body]]:
    """Return one list of webhook bodies per second, for five seconds: generated bodies and recorded bodies."""
    recorded = iter([{**line["body"], "instance": ""} for line in captured()])
    seconds = []
    for second in range(5):
        bodies = list(itertools.islice(recorded, 21))
        for m in range(5):
            n = 5 * second + m
            bodies += [*inbound_text(n, n % 6), *(outbound_text(n, n % 6) if m % 2 else ())]
        seconds.append(bodies)
    return seconds


def count_writes(run: Callable[[], object]) -> int:
    """Return how many rows a function inserts, updates or deletes, without rows of the inbox tables."""
    rows = 0

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        nonlocal rows
        result = execute(sql, params, many, context)
        verb, *words = sql.replace('"', "").split(maxsplit=3)
        if verb in ("INSERT", "UPDATE", "DELETE") and DOMAIN_TABLES & set(words[:2]):
            # SQLite does not report how many rows an INSERT with RETURNING has inserted.
            rows += sql.count("), (") + 1 if verb == "INSERT" else context["cursor"].rowcount
        return result

    with connection.execute_wrapper(watch):
        run()
    return rows


def apply_by_second(instance: Instance, seconds: Iterable[list[Body]], options: Options) -> None:
    """For each second, store all webhook bodies of that second, and then apply their events."""
    worker = Worker(options)
    for bodies in seconds:
        for body in bodies:
            store_body(instance, body)
        worker.drain()


@pytest.mark.sweep
def test_debouncing_a_realistic_stream_needs_fewer_writes_and_gives_the_same_rows() -> None:
    slow, quick = Instance.objects.create(name="one by one"), Instance.objects.create(name="debounced")
    before = count_writes(lambda: apply_by_second(slow, realistic_stream(), ONE_BY_ONE))
    after = count_writes(lambda: apply_by_second(quick, realistic_stream(), Options(interval=0)))
    assert rows_of(quick) == rows_of(slow)
    messages = slow.messages.count()
    print(f"{before} writes one by one, {after} debounced: {1 - after / before:.0%} fewer; {messages} messages")  # noqa: T201 - `pytest -s` shows the printed line
    assert after <= 0.7 * before
    counts = dict(quick.ingest_counts.values_list("name", "value"))
    assert counts["coalesced"] > 0
    finished = sum(counts.get(name, 0) for name in ("applied", "ignored", "unknown"))
    assert finished - counts["collapsed"] == quick.events.count() or counts["collapsed"] > 0


# --- any stream -------------------------------------------------------------------------------------------------------
RECEIVED = dt.datetime(2025, 12, 11, 13, 0, 9, tzinfo=dt.UTC)


def store(instance: Instance, body: Body) -> None:
    """Store a copy of a webhook body as received at `RECEIVED`, because rows depend on the moment of receipt."""
    digests = store_body(instance, copy.deepcopy(body))  # because `store_body` empties the body
    WebhookEvent.objects.filter(instance=instance, digest__in=digests).update(received_at=RECEIVED)


def apply_in_batches(bodies: Iterable[Body], cuts: Iterable[bool], options: Options, *, states_last: bool) -> Rows:
    """Apply webhook bodies to a new instance, in batches that end where `cuts` is true; return the rows.

    With `states_last`, the latest-state events of a batch are stored after the batch's other events are applied.
    """
    instance = Instance.objects.create(name=f"debounce-{next(numbers)}")
    waiting_states: list[Body] = []
    for body, cut in itertools.zip_longest(bodies, cuts):
        if body is None:
            break
        if states_last and is_latest_state(body["event"], body):
            waiting_states.append(body)
        else:
            store(instance, body)
        if cut:
            while batch.apply_due(instance.pk, options, ignore_schedule=True):
                pass
            for state in waiting_states:
                store(instance, state)
            waiting_states.clear()
    for state in waiting_states:
        store(instance, state)
    while batch.apply_due(instance.pk, options, ignore_schedule=True):
        pass
    assert not instance.events.filter(outcome="stored").exists()
    return rows_of(instance)


@settings(
    max_examples=effort(8 if connection.vendor == "sqlite" else 4, 200),  # PostgreSQL takes longer
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(any_body, min_size=1, max_size=12),
    st.lists(st.booleans(), max_size=12),
    st.sampled_from([1, 2, 3, 500]),
    st.booleans(),
)
def test_any_batches_and_windows_give_the_same_rows_as_applying_one_by_one(
    stream: list[Body],
    cuts: list[bool],
    size: int,
    states_last: bool,  # noqa: FBT001 - hypothesis passes the argument by keyword
) -> None:
    batched = apply_in_batches(stream, cuts, Options(interval=0, batch=size), states_last=states_last)
    assert batched == apply_in_batches(stream, [True] * len(stream), ONE_BY_ONE, states_last=False)
