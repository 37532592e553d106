"""The tally agrees with the conversations after every kind of write, also of several transactions at once."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, connections, transaction
from django.db.models import F

from conversations.models import Conversation, ConversationTally, Instance
from conversations.models.conversation_counters import count_cells, load_cells
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance
from tests.waiting import TIMEOUT

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


def check() -> None:
    pks = list(Instance.objects.values_list("pk", flat=True))
    assert sorted(load_cells(pks)) == sorted(count_cells(pks))


def rolled_back(row: Conversation) -> None:
    with transaction.atomic():
        Conversation.objects.pin(row.pk)
        check()
        transaction.set_rollback(True)


def in_parts(row: Conversation) -> None:
    with transaction.atomic():
        a_chat(row.instance, unread_count=5)
        with transaction.atomic():
            Conversation.objects.update(unread_count=F("unread_count") + 1)
            transaction.set_rollback(True)
        row.instance.conversations.update(is_pinned=True)
        check()


def upserted(row: Conversation) -> None:
    rows = [Conversation(instance=row.instance, kind="group", jid=f"{n}@g.us", unread_count=n) for n in range(4)]
    Conversation.objects.bulk_create(rows[:2])
    rows = [*rows[2:], Conversation(instance=row.instance, kind="group", jid="0@g.us", unread_count=7)]
    Conversation.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["instance", "jid"], update_fields=["unread_count"]
    )


def updated_in_bulk(row: Conversation) -> None:
    rows = list(row.instance.conversations.all())
    for other in rows:
        other.is_archived = not other.is_archived
        other.unread_count += 2
    Conversation.objects.fast_bulk_update(rows, ["is_archived", "unread_count"])


WRITES: dict[str, Callable[[Conversation], object]] = {
    "create": lambda row: a_group(row.instance, unread_count=3),
    "bulk_create": upserted,
    "a message": lambda row: (a_message(row), Conversation.objects.recount(row.pk)),
    "archive": lambda row: Conversation.objects.archive(row.pk),
    "mark as read": lambda row: Conversation.objects.mark_read(row.pk),
    "marked as unread": lambda row: Conversation.objects.filter(pk=row.pk).update(unread_mark=NOON, unread_count=0),
    "read until the mark": lambda _: Conversation.objects.update(unread_mark=NOON, read_until=NOON, unread_count=0),
    "read after the mark": lambda _: Conversation.objects.update(
        unread_mark=NOON, read_until=NOON.replace(hour=13), unread_count=0
    ),
    "deleted on the phone": lambda row: Conversation.objects.filter(pk=row.pk).update(is_deleted=True),
    "back again": lambda _: Conversation.objects.update(is_deleted=False),
    "delete": lambda row: Conversation.objects.delete(row.pk),
    "delete the instance": lambda row: Instance.objects.delete(row.instance_id),
    "update in bulk": updated_in_bulk,
    "nested transactions": in_parts,
    "roll back": rolled_back,
    "truncate": lambda _: connection.cursor().execute("TRUNCATE conversations_conversation CASCADE"),
}


@pytest.mark.parametrize("write", WRITES)
def test_the_tally_agrees_with_the_conversations(write: str) -> None:
    instance = an_instance()
    row = a_chat(instance, unread_count=2)
    a_chat(instance, is_deleted=True)
    a_group(an_instance(), is_pinned=True)
    check()
    WRITES[write](row)
    check()


def test_compaction_removes_the_rows_of_deleted_instances() -> None:
    kept, deleted = (a_chat(an_instance()).instance for _ in range(2))
    Instance.objects.delete(deleted.pk)
    assert ConversationTally.objects.filter(instance=deleted.pk).exists()
    ConversationTally.objects.compact()
    assert set(ConversationTally.objects.values_list("instance_id", flat=True)) == {kept.pk}
    check()


def test_compaction_keeps_the_sums_and_leaves_few_rows() -> None:
    row = a_chat(an_instance(), contact=None)
    for _ in range(60):
        Conversation.objects.pin(row.pk)
        Conversation.objects.unpin(row.pk)
    assert ConversationTally.objects.count() > 100
    ConversationTally.objects.compact()
    check()
    assert ConversationTally.objects.count() == 1


def test_a_write_waits_for_no_other_transaction_and_compaction_skips_what_is_not_committed() -> None:
    """Two transactions change conversations of one instance at once, in opposite orders, while a third compacts."""
    instance = an_instance()
    rows = [a_chat(instance, contact=a_contact(instance)) for _ in range(2)]
    errors: list[Exception] = []

    def write(row: Conversation, barrier: threading.Barrier) -> None:
        try:
            with transaction.atomic():
                for step in range(60):
                    Conversation.objects.filter(pk=row.pk).update(is_pinned=step % 2 == 0, unread_count=step)
                barrier.wait(TIMEOUT)
                ConversationTally.objects.compact()
        except Exception as error:  # noqa: BLE001 - shown by the test
            errors.append(error)
        finally:
            connections.close_all()

    barrier = threading.Barrier(2)
    threads = [threading.Thread(target=write, args=(row, barrier)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    check()
    ConversationTally.objects.compact()
    check()
