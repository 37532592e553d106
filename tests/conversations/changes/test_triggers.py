"""Every kind of write appends the changes that it makes, in the same transaction."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from conversations.models import Contact, Conversation, Instance, Message, Participant
from tests.conversations.changes.reading import entries_after, head, logged_by
from tests.conversations.rows import a_chat, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db(transaction=True)

ROW_TRIGGERS = {"message_moved", "participants_listed", "labels"}
RESOURCES = ("instance", "contact", "conversation", "message", "participants")


def test_all_triggers_exist() -> None:
    events = ["insert", "update", "delete", *(["truncate"] if connection.vendor == "postgresql" else [])]
    expected = {f"{resource}_{event}" for resource in RESOURCES for event in events} | ROW_TRIGGERS
    is_postgresql = connection.vendor == "postgresql"
    names = (
        "SELECT tgname FROM pg_trigger" if is_postgresql else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    with connection.cursor() as cursor:
        cursor.execute(names)
        found = {name for (name,) in cursor.fetchall()}
    assert found >= {f"conversations_change_{name}" for name in expected}


@pytest.fixture
def chat() -> Conversation:
    return a_chat(an_instance(labels={"1": {"name": "novo"}, "2": {"name": "pago"}}))


def test_new_rows_are_created() -> None:
    rows: list[Any] = []

    def create() -> None:
        rows.append(a_message(a_chat(an_instance())))

    logged = logged_by(create)
    message = rows[0]
    pks = {
        "instance": message.instance_id,
        "contact": message.conversation.contact_id,
        "conversation": message.conversation_id,
        "message": message.pk,
    }
    assert logged == {(resource, "created", pk) for resource, pk in pks.items()}


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def upsert_a_group(row: Conversation) -> None:
    Conversation.objects.bulk_create(
        [Conversation(instance=row.instance, kind="group", jid=row.jid, name="Equipe")],
        update_conflicts=True,
        unique_fields=["instance", "jid"],
        update_fields=["name"],
    )


# way to write → what it does with a group, and how the log names it
WRITES: dict[str, tuple[Callable[[Conversation], object], str, str]] = {
    "save": (lambda row: row.save(), "conversation", "updated"),
    "update": (lambda _: Conversation.objects.update(is_pinned=True), "conversation", "updated"),
    "fast bulk update": (
        lambda row: Conversation.objects.fast_bulk_update([row], ["is_pinned"]),
        "conversation",
        "updated",
    ),
    "bulk update": (lambda row: Conversation.objects.bulk_update([row], ["is_pinned"]), "conversation", "updated"),
    "upsert": (upsert_a_group, "conversation", "updated"),
    "manager": (lambda row: Conversation.objects.archive(row.pk), "conversation", "updated"),
    "SQL": (lambda _: execute("UPDATE conversations_conversation SET name = 'Ana'"), "conversation", "updated"),
    "delete": (lambda row: Conversation.objects.filter(pk=row.pk).delete(), "conversation", "deleted"),
    "delete in SQL": (lambda _: execute("DELETE FROM conversations_conversation"), "conversation", "deleted"),
    "new member": (
        lambda row: Participant.objects.create(conversation=row, contact=a_contact(row.instance), clock="2"),
        "participants",
        "updated",
    ),
    "new list of members": (
        lambda row: Conversation.objects.filter(pk=row.pk).update(participants_as_of="3"),
        "participants",
        "updated",
    ),
}


@pytest.mark.parametrize("way", WRITES)
def test_each_way_to_write_is_logged(way: str) -> None:
    write, resource, kind = WRITES[way]
    group = a_group(an_instance())
    pk = group.pk
    assert (resource, kind, pk) in logged_by(lambda: write(group))


def test_the_members_of_a_group_change_with_its_participants() -> None:
    group = a_group(an_instance())
    one = Participant.objects.create(conversation=group, contact=a_contact(group.instance), clock="1")
    for write in (one.save, one.delete):
        assert logged_by(write) == {("participants", "updated", group.pk)}
    assert logged_by(lambda: Conversation.objects.filter(pk=group.pk).update(participants_as_of="")) == {
        ("conversation", "updated", group.pk)
    }


def test_a_message_that_moves_is_deleted_from_its_old_conversation(chat: Conversation) -> None:
    message, other = a_message(chat), a_chat(chat.instance)
    before = head()
    Message.objects.filter(pk=message.pk).update(conversation=other)
    moves = {(entry.kind, entry.conversation_id) for entry in entries_after(before)}
    assert moves == {("deleted", chat.pk), ("updated", other.pk)}


@pytest.mark.parametrize(
    ("labels", "is_shown"),
    [
        ({"1": {"name": "novo", "deleted": True}, "2": {"name": "pago"}}, True),
        ({"1": {"name": "outro"}, "2": {"name": "pago", "deleted": False}, "3": {"name": "novo"}}, False),
    ],
)
def test_a_label_that_is_deleted_changes_the_conversations_that_have_it(
    chat: Conversation, labels: Any, *, is_shown: bool
) -> None:
    Conversation.objects.filter(pk=chat.pk).update(labels={"1": True})
    a_chat(chat.instance)
    instance = ("instance", "updated", chat.instance_id)
    shown = {("conversation", "updated", chat.pk)} if is_shown else set()
    assert logged_by(lambda: Instance.objects.filter(pk=chat.instance_id).update(labels=labels)) == {instance, *shown}
    back = {"1": {"name": "novo"}, "2": {"name": "pago"}}
    assert logged_by(lambda: Instance.objects.filter(pk=chat.instance_id).update(labels=back)) == {instance, *shown}


@pytest.mark.parametrize("labels", [[], "1", {"1": "novo"}, {"1": None, 'a"b': {"deleted": True}}])
def test_labels_of_any_form_can_be_written(chat: Conversation, labels: Any) -> None:
    Instance.objects.filter(pk=chat.instance_id).update(labels=labels)


def test_deleting_an_instance_logs_all_its_rows(chat: Conversation) -> None:
    message = a_message(chat)
    pks = {"instance": chat.instance_id, "contact": chat.contact_id, "conversation": chat.pk, "message": message.pk}
    logged = logged_by(lambda: Instance.objects.delete(chat.instance_id))
    assert {one for one in logged if one[1] == "deleted"} == {(name, "deleted", pk) for name, pk in pks.items()}


def test_a_write_that_is_rolled_back_is_not_logged(chat: Conversation) -> None:
    def roll_back() -> None:
        with transaction.atomic():
            chat.save()
            transaction.set_rollback(True)

    assert logged_by(roll_back) == set()


@pytest.mark.postgresql
def test_a_statement_that_changes_too_many_rows_resets_its_instances() -> None:
    small, large = an_instance(), an_instance()
    Contact.objects.bulk_create([Contact(instance=small, jid="1@lid"), Contact(instance=large, jid="1@lid")])
    contacts = (Contact(instance=large, jid=f"{n}@lid") for n in range(2, 10_001))
    Contact.objects.bulk_create(list(contacts), batch_size=2000)
    before = head()
    with transaction.atomic():
        Contact.objects.filter(instance=small).update(name="Eva")
        Contact.objects.filter(instance=large).update(name="Ana")
        assert Contact.objects.update(name="Eva") == 10_001
    logged = {(entry.kind, entry.instance_id) for entry in entries_after(before)}
    assert logged == {("reset", small.pk), ("reset", large.pk)}
    before = head()
    Contact.objects.filter(instance=large).update(name="Bia")
    assert len(entries_after(before)) == 10_000


@pytest.mark.postgresql
@pytest.mark.parametrize("resource", RESOURCES)
def test_an_emptied_table_resets_all_instances(resource: str) -> None:
    table = "participant" if resource == "participants" else resource
    assert (resource, "reset", None) in logged_by(lambda: execute(f"TRUNCATE conversations_{table} CASCADE"))
