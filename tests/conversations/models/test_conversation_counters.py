"""A counter is the length of the list with its filters, for one instance, several and all."""

import datetime as dt
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from cachelayer import cache
from conversations.models import Contact, Conversation, Instance
from conversations.models.conversation_counters import COUNTERS, UNREAD_MESSAGES, fetch_counters, total
from tests.cachelayer.conftest import cache_runtime  # noqa: F401 - a fixture
from tests.conversations.rows import NOON, a_chat, a_message, an_instance

ALL_ROWS = 10**6
FOREVER = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


def rows_in_every_state(instance: Instance) -> Iterator[Conversation]:
    """Return conversations with all combinations of states, some of them twice."""
    now, flags = timezone.now(), (False, True)
    mutes = (None, now - dt.timedelta(days=1), now + dt.timedelta(days=1), FOREVER)
    marks = (None, NOON, NOON - dt.timedelta(days=2))
    states = product(Conversation.Kind, flags, flags, flags, (0, 3), marks, mutes)
    for number, (kind, archived, pinned, deleted, unread, mark, muted_until) in enumerate(states):
        for copy in range(1 + number % 2):
            yield Conversation(
                instance=instance,
                kind=kind,
                jid=f"{number}-{copy}@g.us",
                is_archived=archived,
                is_pinned=pinned,
                is_deleted=deleted,
                unread_count=unread,
                unread_mark=mark,
                read_until=NOON - dt.timedelta(days=1),
                muted_until=muted_until,
            )


def with_contacts(rows: list[Conversation]) -> list[Conversation]:
    direct = [row for row in rows if row.kind == "direct"]
    contacts = Contact.objects.bulk_create(Contact(instance=row.instance, jid=row.jid) for row in direct)
    for row, contact in zip(direct, contacts, strict=True):
        row.contact = contact
    return rows


@pytest.fixture(scope="module")
def instances(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[list[Instance]]:  # noqa: ARG001
    """Fill two instances with conversations in all states, and leave one empty."""
    with django_db_blocker.unblock(), transaction.atomic():
        found = [an_instance() for _ in range(3)]
        for instance in found[:2]:
            Conversation.objects.bulk_create(with_contacts(list(rows_in_every_state(instance))))
        Conversation.objects.filter(instance=found[1], is_archived=True).update(is_deleted=True)
        yield found
        transaction.set_rollback(True)


@pytest.mark.parametrize("name", COUNTERS)
def test_a_counter_is_the_length_of_its_list(instances: list[Instance], name: str) -> None:
    def length(scope: Any) -> int:
        return len(Conversation.objects.for_instance(scope, limit=ALL_ROWS, **COUNTERS[name]).rows)

    pks = [instance.pk for instance in instances]
    counters = fetch_counters(None)
    assert {pk: counters[pk][name] for pk in pks} == {pk: length(pk) for pk in pks}
    assert total(counters.values())[name] == length(None) > 0
    assert total(fetch_counters(pks[1:]).values())[name] == length(pks[1:])


def test_unread_messages_are_the_sum_over_the_list(instances: list[Instance]) -> None:  # noqa: ARG001
    rows = Conversation.objects.for_instance(None, limit=ALL_ROWS).rows
    assert total(fetch_counters(None).values())[UNREAD_MESSAGES] == sum(row.unread_count for row in rows) > 0


def test_the_counters_are_those_of_existing_instances_only(instances: list[Instance]) -> None:
    assert list(fetch_counters([instances[2].pk, 10**9])) == [instances[2].pk]
    assert fetch_counters([]) == {}
    assert set(total([]).values()) == {0}


# --- through the cache ------------------------------------------------------------------------------------------------
cached = pytest.mark.django_db(transaction=True)


def counts_of(pk: int, name: str) -> int:
    return fetch_counters([pk])[pk][name]


CHANGES: dict[str, tuple[str, int, Callable[[Conversation], object]]] = {
    "archive": ("archived", 1, lambda row: Conversation.objects.archive(row.pk)),
    "pin": ("pinned", 1, lambda row: Conversation.objects.pin(row.pk)),
    "read": ("unread", -1, lambda row: Conversation.objects.mark_read(row.pk)),
    "a new message": (UNREAD_MESSAGES, 1, lambda row: (a_message(row), Conversation.objects.recount(row.pk))),
    "a new conversation": ("conversations", 1, lambda row: a_chat(row.instance)),
    "delete": ("direct", -1, lambda row: Conversation.objects.filter(pk=row.pk).delete()),
    "deleted on the phone": (
        "conversations",
        -1,
        lambda row: Conversation.objects.filter(pk=row.pk).update(is_deleted=True),
    ),
}


@cached
@pytest.mark.usefixtures("cache_runtime")
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_counted_at_once(change: str) -> None:
    name, difference, operate = CHANGES[change]
    row = a_chat(an_instance())
    a_message(row)
    Conversation.objects.recount(row.pk)
    before = counts_of(row.instance_id, name)
    operate(row)
    assert counts_of(row.instance_id, name) == before + difference


@cached
@pytest.mark.usefixtures("cache_runtime")
def test_the_number_of_queries_is_constant_and_a_change_recounts_one_instance_alone() -> None:
    chats = [a_chat(an_instance()) for _ in range(5)]

    def queries() -> list[str]:
        with cache.fresh(), CaptureQueriesContext(connection) as captured:
            fetch_counters(None)
        return [query["sql"] for query in captured]

    cold = queries()
    assert queries() == []
    Conversation.objects.pin(chats[0].pk)
    warm = queries()
    assert len(cold) == 1 + len(warm)  # the cold ones read the instances too
    assert all(f"({chats[0].instance_id})" in sql for sql in warm)
    cache.clear_all()
    for _ in range(20):
        a_chat(an_instance())
    assert len(queries()) == len(cold)


@cached
@pytest.mark.usefixtures("cache_runtime")
def test_the_end_of_a_mute_is_counted_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now().replace(second=0, microsecond=0)
    row = a_chat(an_instance(), muted_until=now + dt.timedelta(minutes=5, seconds=30))
    for minutes, muted in ((0, 1), (5, 1), (6, 0)):
        monkeypatch.setattr(timezone, "now", lambda minutes=minutes: now + dt.timedelta(minutes=minutes, seconds=59))
        assert counts_of(row.instance_id, "muted") == muted
        assert len(Conversation.objects.for_instance(row.instance_id, muted=True).rows) == muted
