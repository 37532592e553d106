"""The log is read in the order of commits, window by window, and shortened from its beginning."""

import datetime as dt
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from conversations.changes import history, log
from conversations.changes.log import Position, Selection
from conversations.models import Change, Contact, Conversation
from tests.conversations.changes.reading import entries_after, head, settle
from tests.conversations.rows import a_chat, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def another_connection() -> Iterator[Any]:
    """Open a connection beside Django's, whose transaction the test ends."""
    other: Any = connection.copy()
    other.set_autocommit(False)
    try:
        yield other
    finally:
        other.close()


@pytest.mark.postgresql
def test_no_change_appears_before_a_position_that_was_read() -> None:
    """Of two transactions that overlap, the one that began first commits last."""
    instance = an_instance()
    before = head()
    with another_connection() as slow:
        with slow.cursor() as cursor:
            cursor.execute("UPDATE conversations_instance SET profile_name = 'slow' WHERE id = %s", [instance.pk])
        contact = a_contact(an_instance())
        settle()
        window = log.read(before, Selection(), 100)
        assert (window.entries, window.is_last) == ([], True)
        slow.commit()
    entries = entries_after(window.end)
    assert [(entry.resource, entry.row_id) for entry in entries] == [
        ("instance", instance.pk),
        ("instance", contact.instance_id),
        ("contact", contact.pk),
    ]


@pytest.mark.postgresql
def test_a_time_taken_before_the_commit_misses_changes() -> None:
    """This is why lists cannot be followed by `updated_at`: the follower has read the later time already."""
    early, late = a_chat(an_instance()), a_chat(an_instance())
    before = head()
    with another_connection() as slow:
        with slow.cursor() as cursor:
            cursor.execute(
                "UPDATE conversations_conversation SET updated_at = clock_timestamp() WHERE id = %s", [early.pk]
            )
        late.save()
        last = Conversation.objects.latest("updated_at")
        slow.commit()
    missed = Conversation.objects.filter(updated_at__gt=last.updated_at)
    assert (last, list(missed)) == (late, [])
    assert {entry.row_id for entry in entries_after(before)} == {early.pk, late.pk}


def test_a_selection_has_only_its_changes() -> None:
    own, foreign = a_chat(an_instance()), a_chat(an_instance())
    before = head()
    message = a_message(own)
    for chat in (own, foreign):
        chat.save()
        Contact.objects.filter(conversation=chat).update(name="Ana")
    assert {
        entry.instance_id for entry in entries_after(before, Selection(instances=frozenset([own.instance_id])))
    } == {own.instance_id}
    assert {entry.row_id for entry in entries_after(before, Selection(resources=frozenset(["contact"])))} == {
        own.contact_id,
        foreign.contact_id,
    }
    assert {
        (entry.resource, entry.row_id) for entry in entries_after(before, Selection(conversations=frozenset([own.pk])))
    } == {
        ("message", message.pk),
        ("conversation", own.pk),
    }
    assert entries_after(before, Selection(instances=frozenset([]))) == []


def test_a_selection_in_sql_is_the_one_in_python() -> None:
    """Followers are woken by `Selection.concerns`, and then read by `_condition`."""
    at, before = timezone.now(), head()
    owners = itertools.product((None, 1, 2), repeat=2)
    whats = itertools.product(Change.Resource.values, Change.Kind.values)
    rows = [
        Change(transaction_id=0, instance_id=instance, conversation_id=chat, resource=resource, kind=kind, at=at)
        for (instance, chat), (resource, kind) in itertools.product(owners, whats)
    ]
    Change.objects.bulk_create(rows)
    if connection.vendor == "postgresql":  # the ids of transactions that have ended are before this one
        Change.objects.update(transaction_id=before.transaction)
    written = entries_after(before)
    assert len(written) == len(rows)
    numbers, names = (None, frozenset[int](), frozenset([1])), (None, frozenset(["message", "contact"]))
    for selection in itertools.starmap(Selection, itertools.product(numbers, names, numbers)):
        assert entries_after(before, selection) == list(filter(selection.concerns, written)), selection


def test_a_window_searches_a_limited_number_of_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "SCANNED_ROWS", 3)
    instance, other = an_instance(), an_instance()
    before = head()
    for _ in range(4):
        other.save()
    instance.save()
    settle()
    first = log.read(before, Selection(instances=frozenset([instance.pk])), 10)
    assert (first.entries, first.is_last) == ([], False)
    second = log.read(first.end, Selection(instances=frozenset([instance.pk])), 10)
    assert ([entry.row_id for entry in second.entries], second.is_last) == ([instance.pk], True)
    assert log.read(second.end, Selection(), 10).entries == []


def test_a_window_has_a_limited_number_of_changes() -> None:
    instance = an_instance()
    position = head()
    for _ in range(5):
        instance.save()
    sizes = []
    is_last = False
    while not is_last:
        settle()
        window = log.read(position, Selection(), 2)
        sizes.append(len(window.entries))
        position, is_last = window.end, window.is_last
    assert sizes == [2, 2, 1]


# --- positions --------------------------------------------------------------------------------------------------------
def test_positions_of_this_log_are_possible() -> None:
    zero = Position(0, 0)
    assert log.is_possible(head(), floor=zero)
    before = head()
    a_group(an_instance())
    for entry in entries_after(before):
        assert log.is_possible(entry.position, floor=zero)


def test_a_position_after_the_end_of_the_log_belongs_to_another_copy() -> None:
    an_instance()
    now = head()
    assert not log.is_possible(Position(now.transaction + 100_000, now.id + 1), floor=Position(0, 0))


@pytest.mark.once
def test_sqlite_recognizes_that_another_copy_wrote_a_change() -> None:
    instance = an_instance()
    position = head()
    Change.objects.filter(pk=position.id).update(transaction_id=position.transaction + 1)
    instance.save()
    assert not log.is_possible(position, floor=Position(0, 0))


def test_the_history_stays_and_belongs_to_the_database() -> None:
    name = history.current_history()
    assert history.current_history() == name
    row = history.only_row()
    row.delete()
    assert history.current_history() != name


# --- retention --------------------------------------------------------------------------------------------------------
def make_old(days: float) -> None:
    Change.objects.update(at=timezone.now() - dt.timedelta(days=days))


def days_ago(days: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)


def test_old_changes_are_removed_in_steps_but_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "STEP_ROWS", 2)
    Change.objects.all().delete()
    instance = an_instance()
    before = head()
    for _ in range(4):
        instance.save()
    end = head()
    make_old(6)
    assert log.remove_old(days_ago(7)) == 0
    make_old(8)
    assert [log.remove_old(days_ago(7)) for _ in range(3)] == [2, 2, 0]
    assert Change.objects.count() == 1
    floor = log.removed_until(history.current_history())
    assert log.is_before(before, floor)
    assert not log.is_before(end, floor)
    assert log.is_possible(end, floor=floor)


def test_changes_after_an_old_one_stay() -> None:
    Change.objects.all().delete()
    instance = an_instance()
    for _ in range(3):
        instance.save()
    first, second, *_ = Change.objects.order_by("pk").values_list("pk", flat=True)
    Change.objects.filter(pk__in=[first, second + 1]).update(at=days_ago(8))
    assert log.remove_old(days_ago(7)) == 1


def test_what_another_history_removed_does_not_count() -> None:
    row = history.only_row()
    row.removed_transaction, row.removed_id, row.removed_history = 10**12, 10**12, "another"
    row.save()
    assert log.removed_until(history.current_history()) == Position(0, 0)


def test_a_transaction_sees_its_own_writes_only_after_its_end() -> None:
    before = head()
    with transaction.atomic():
        an_instance()
        seen = entries_after(before)
    assert len(seen) == (0 if connection.vendor == "postgresql" else 1)
    assert len(entries_after(before)) == 1
