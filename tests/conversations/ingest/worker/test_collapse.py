"""Repeated states cost a bounded number of rows, and no state is lost."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.ingest import metrics
from conversations.ingest.event_policy import RATE_LIMITED
from conversations.ingest.worker import batch, replay
from conversations.models import Instance, WebhookEvent
from tests.conversations.ingest.bodies import Body, envelope, text
from tests.conversations.ingest.inboxes import NO_DELAY, outcomes, store_all
from tests.conversations.ingest.row_snapshots import rows_of
from tests.effort import effort

pytestmark = pytest.mark.django_db

START = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
PHONE = "5511999990001@s.whatsapp.net"


def at(seconds: float) -> str:
    moment = START + dt.timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def connection_update(state: str, seconds: float, **data: Any) -> Body:
    return envelope(
        "connection.update", {"instance": "sales", "state": state, "statusReason": 200, **data}, at(seconds)
    )


def apply_all(instance: Instance) -> None:
    while batch.apply_due(instance.pk, NO_DELAY, ignore_schedule=True):
        pass


@pytest.fixture
def instance() -> Instance:
    return Instance.objects.create(name="sales")


def test_a_dead_instance_costs_one_row_for_each_state(instance: Instance) -> None:
    minutes = effort(10, 60)
    for minute in range(minutes):
        for number in range(20):
            seconds = 60 * minute + number
            store_all(instance, connection_update("connecting", seconds), connection_update("close", seconds + 0.5))
        apply_all(instance)
        assert instance.events.count() == 2
    instance.refresh_from_db()
    assert instance.state == "close"
    counts = metrics.for_instance(instance.pk)
    assert counts["applied"] == 40 * minutes
    assert counts["collapsed"] == 40 * minutes - 2
    newest = {at(60 * minutes - 41), at(60 * minutes - 40.5)}
    assert {row.payload["date_time"] for row in instance.events.all()} == newest


@pytest.mark.parametrize("time", ["9" * 5000, "[" * 100_000, "1e999", "NaN", "", 5, None, ["x"], {"a": 1}])
def test_a_time_of_any_form_blocks_nothing(instance: Instance, time: object) -> None:
    repeated = connection_update("connecting", 1) | {"date_time": time}
    for state in ("connecting", "close"):
        for server in ("a", "b"):
            store_all(instance, repeated | {"server_url": server}, connection_update(state, 2))
            apply_all(instance)
    assert not instance.events.exclude(outcome="applied").exists()


def test_volatile_data_that_nothing_is_read_from_makes_no_rows(instance: Instance) -> None:
    for number in range(50):
        store_all(instance, connection_update("connecting", number, attempt=number))
        apply_all(instance)
    assert instance.events.count() == 1


def test_a_state_that_comes_back_is_applied_again(instance: Instance) -> None:
    for seconds, state in enumerate(("open", "connecting", "open", "close", "connecting", "open")):
        store_all(instance, connection_update(state, seconds))
        apply_all(instance)
        instance.refresh_from_db()
        assert instance.state == state
    assert instance.events.count() == 3


@pytest.mark.parametrize("state", ["new state", "connecting"])
def test_events_that_are_not_applied_collapse_too(instance: Instance, state: str) -> None:
    other = {"instance": "support"} if state == "connecting" else {}
    for seconds in range(0, 30, 3):
        store_all(instance, *(connection_update(state, seconds + number) | other for number in range(3)))
        apply_all(instance)
    assert outcomes(instance) == {"foreign" if other else "unknown": 1}
    replay.requeue(instance.events.values_list("pk", flat=True))
    apply_all(instance)
    assert outcomes(instance) == {"foreign" if other else "unknown": 1}, "the row can be applied again"


def test_events_from_another_server_collapse_too(instance: Instance, django_assert_max_num_queries: Any) -> None:
    Instance.objects.filter(pk=instance.pk).update(server_url="http://evolution:8080")
    store_all(instance, *(connection_update("close", number) | {"server_url": "http://other"} for number in range(100)))
    with django_assert_max_num_queries(40):
        apply_all(instance)
    assert outcomes(instance) == {"applied": 1}


def test_different_contents_stay_apart(instance: Instance) -> None:
    for jid in (PHONE, "5511999990002@s.whatsapp.net"):
        for presence in ("composing", "available", "composing"):
            data = {"id": jid, "presences": {jid: {"lastKnownPresence": presence}}}
            store_all(instance, envelope("presence.update", data, at(len(presence))))
    store_all(instance, connection_update("close", 1), connection_update("close", 2, statusReason=401))
    apply_all(instance)
    assert instance.events.filter(name="connection.update").count() == 2
    assert instance.events.filter(name="presence.update").count() == 4 or not instance.events.filter(
        name="presence.update", outcome="applied"
    )


def test_other_instances_and_other_events_keep_their_rows(instance: Instance) -> None:
    other = Instance.objects.create(name="other")
    for row in (instance, other):
        store_all(row, connection_update("close", 1) | {"instance": row.name})
    store_all(instance, text("M1", PHONE), text("M1", PHONE) | {"date_time": at(9)})
    for row in (instance, other):
        apply_all(row)
    assert (instance.events.count(), other.events.count()) == (3, 1)


def test_an_event_that_failed_stays(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    store_all(instance, connection_update("close", 1))
    with monkeypatch.context() as patch:
        patch.setattr(batch, "apply", fail)
        batch.apply_due(instance.pk, NO_DELAY, ignore_schedule=True)
    store_all(instance, connection_update("close", 2))
    apply_all(instance)
    assert sorted(instance.events.values_list("outcome", "attempts")) == [("applied", 0), ("stored", 1)]


def test_the_same_body_again_adds_no_row(instance: Instance) -> None:
    for _ in range(3):
        store_all(instance, connection_update("close", 1))
        apply_all(instance)
    assert WebhookEvent.objects.count() == 1


states = st.builds(
    lambda name, seconds, kind: (
        connection_update(name, seconds) if kind else envelope("chats.update", [{"remoteJid": PHONE}], at(seconds))
    ),
    st.sampled_from(["open", "connecting", "close"]),
    st.integers(0, 20),
    st.booleans(),
)


@settings(
    max_examples=effort(8 if connection.vendor == "sqlite" else 4, 200),  # PostgreSQL takes longer
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(states, min_size=1, max_size=12), st.lists(st.booleans(), min_size=12, max_size=12), st.data())
def test_any_order_and_any_batches_of_repeated_states_give_the_same_rows(
    stream: list[Body], cuts: list[bool], data: st.DataObject
) -> None:
    def apply_stream(bodies: list[Body], cuts: list[bool]) -> Any:
        instance = Instance.objects.create(name=f"sales-{Instance.objects.count()}")
        for body, cut in zip(bodies, cuts, strict=False):
            store_all(instance, body | {"instance": instance.name})
            if cut:
                apply_all(instance)
        apply_all(instance)
        assert instance.events.count() <= 2 * len({str(body["data"]) for body in bodies})
        return rows_of(instance)

    shuffled = data.draw(st.permutations(stream))
    assert apply_stream(stream, cuts) == apply_stream([*shuffled, *stream], [True] * 24)


def test_every_repeated_state_is_rate_limited() -> None:
    assert "connection.update" in RATE_LIMITED
