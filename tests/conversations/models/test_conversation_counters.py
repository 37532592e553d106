"""A counter is the length of the list with its filters, for one instance, several and all."""

import datetime as dt
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from conversations.models import Contact, Conversation, Instance
from conversations.models.conversation_counters import COUNTERS, UNREAD_MESSAGES, fetch_counters, total
from tests.conversations.rows import NOON, an_instance

pytestmark = pytest.mark.django_db

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
