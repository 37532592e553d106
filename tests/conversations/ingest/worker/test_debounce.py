"""Applying in windows and batches: fewer writes, and the very rows that one by one would have made."""

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
from tests.conversations.ingest.row_snapshots import Rows, rows_of
from tests.conversations.ingest.streams import Body, envelope
from tests.conversations.ingest.streams import events as any_event
from tests.payloads import captured

pytestmark = pytest.mark.django_db

numbers = itertools.count()
ONE_BY_ONE = Options(window=0, interval=0, batch=1)
OWN = (WebhookEvent, IngestLease, IngestCounter)  # the inbox's
TABLES = {
    model._meta.db_table  # noqa: SLF001 - Django's documented way to it
    for model in apps.get_app_config("conversations").get_models()
    if model not in OWN
}


# --- a realistic stream -----------------------------------------------------------------------------------------------
def second_of(n: int) -> str:
    return f"2025-12-11T10:{n // 60 % 60:02}:{n % 60:02}.{n * 7 % 1000:03}Z"


def text_and_what_follows(n: int, chat: int) -> Iterator[Body]:
    """One inbound text as Evolution tells of it: five webhooks (webhooks.md, amplification)."""
    jid, clock = f"5521{900000000 + chat}@s.whatsapp.net", second_of(n)
    key = {"id": f"IN{n}", "remoteJid": jid, "fromMe": False}
    record = {"key": key, "pushName": f"Ana {chat}", "message": {"conversation": f"oi {n}"}}
    yield envelope(
        "messages.upsert", {**record, "messageType": "conversation", "messageTimestamp": 1765458000 + n}, clock
    )
    for picture in (None, f"https://pps.whatsapp.net/{chat}"):
        said = {"remoteJid": jid, "pushName": f"Ana {chat}", "profilePicUrl": picture}
        yield envelope("contacts.update", [said], clock)
    yield envelope("chats.update", [{"remoteJid": jid}], clock)
    presence = {jid: {"lastKnownPresence": "composing" if n % 2 else "available"}}
    yield envelope("presence.update", {"id": jid, "presences": presence}, clock)


def answer_and_what_follows(n: int, chat: int) -> Iterator[Body]:
    """One message sent through the API: seven webhooks, an acknowledgement at each step."""
    jid, clock = f"5521{900000000 + chat}@s.whatsapp.net", second_of(n)
    key = {"id": f"OUT{n}", "remoteJid": jid, "fromMe": True}
    record = {"key": key, "message": {"conversation": f"pois não {n}"}, "status": "PENDING"}
    yield envelope("send.message", {**record, "messageType": "conversation", "messageTimestamp": 1765458000 + n}, clock)
    for status in ("SERVER_ACK", "DELIVERY_ACK", "READ"):
        yield envelope(
            "messages.update", {"keyId": f"OUT{n}", "remoteJid": jid, "fromMe": True, "status": status}, clock
        )
        yield envelope("chats.upsert", [{"remoteJid": jid, "unreadMessages": 0}], clock)


def realistic() -> list[list[Body]]:
    """What comes in each of five seconds: six chats at once, and beside them all that a real server sent."""
    real = iter([{**line["body"], "instance": ""} for line in captured()])
    seconds = []
    for second in range(5):
        bodies = list(itertools.islice(real, 21))
        for m in range(5):
            n = 5 * second + m
            bodies += [*text_and_what_follows(n, n % 6), *(answer_and_what_follows(n, n % 6) if m % 2 else ())]
        seconds.append(bodies)
    return seconds


def written(run: Callable[[], object]) -> int:
    """How many of the domain's rows a piece of work inserts, updates or deletes."""
    rows = 0

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        nonlocal rows
        result = execute(sql, params, many, context)
        verb, *words = sql.replace('"', "").split(maxsplit=3)
        if verb in ("INSERT", "UPDATE", "DELETE") and TABLES & set(words[:2]):
            # Of rows that are returned SQLite does not know how many it has inserted.
            rows += sql.count("), (") + 1 if verb == "INSERT" else context["cursor"].rowcount
        return result

    with connection.execute_wrapper(watch):
        run()
    return rows


def applied_by_second(instance: Instance, seconds: Iterable[list[Body]], options: Options) -> None:
    """Apply what each second brought, at its end."""
    worker = Worker(options)
    for bodies in seconds:
        for body in bodies:
            store_body(instance, body)
        worker.drain()


def test_a_realistic_stream_takes_fewer_writes_and_ends_in_the_same_rows() -> None:
    slow, quick = Instance.objects.create(name="one by one"), Instance.objects.create(name="debounced")
    before = written(lambda: applied_by_second(slow, realistic(), ONE_BY_ONE))
    after = written(lambda: applied_by_second(quick, realistic(), Options(interval=0)))
    assert rows_of(quick) == rows_of(slow)
    messages = slow.messages.count()
    print(f"{before} writes one by one, {after} debounced: {1 - after / before:.0%} fewer; {messages} messages")  # noqa: T201 - shown by -s
    assert after <= 0.7 * before
    told = dict(quick.ingest_counts.values_list("name", "value"))
    assert told["coalesced"] > 0
    assert sum(told.get(name, 0) for name in ("applied", "ignored", "unknown")) == quick.events.count()


# --- any stream -------------------------------------------------------------------------------------------------------
def played(bodies: Iterable[Body], cuts: Iterable[bool], options: Options, *, states_last: bool) -> Rows:
    """Apply a stream to a new instance, in batches that end where `cuts` says so.

    With `states_last` what only carries a latest state waits until everything else of its window is applied.
    """
    instance = Instance.objects.create(name=f"debounce-{next(numbers)}")
    waiting: list[Body] = []
    for body, cut in itertools.zip_longest(bodies, cuts):
        if body is None:
            break
        if states_last and is_latest_state(body["event"], body):
            waiting.append(body)
        else:
            store_body(instance, body)
        if cut:
            while batch.apply_due(instance.pk, options, ignore_schedule=True):
                pass
            for state in waiting:
                store_body(instance, state)
            waiting.clear()
    for state in waiting:
        store_body(instance, state)
    while batch.apply_due(instance.pk, options, ignore_schedule=True):
        pass
    assert not instance.events.filter(outcome="stored").exists()
    return rows_of(instance)


@settings(
    max_examples=40 if connection.vendor == "sqlite" else 15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(any_event, min_size=1, max_size=12),
    st.lists(st.booleans(), max_size=12),
    st.sampled_from([1, 2, 3, 500]),
    st.booleans(),
)
def test_any_batches_and_any_windows_end_in_the_rows_of_one_by_one(
    stream: list[Body],
    cuts: list[bool],
    size: int,
    states_last: bool,  # noqa: FBT001 - drawn
) -> None:
    batched = played(stream, cuts, Options(interval=0, batch=size), states_last=states_last)
    assert batched == played(stream, [True] * len(stream), ONE_BY_ONE, states_last=False)
