"""Which tags each write touches, tested with the project's own rules (`conversations/cache_policy.py`)."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, models, transaction
from django.test.utils import CaptureQueriesContext

from cachelayer import CachedModel
from cachelayer.orm import rules
from cachelayer.orm.rules import InvalidationRule
from cachelayer.protocol.tags import UnknownNamespace
from cachelayer.runtime.runtime import get_runtime
from conversations.cache_policy import ANSWERS, INVALIDATION_RULES, NAMESPACES
from conversations.models import (
    ApiToken,
    Contact,
    Conversation,
    Instance,
    Membership,
    Message,
    Participant,
    WebhookEvent,
)
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]


def tags_of_write(write: Callable[[], object]) -> set[str]:
    """Run a write in a transaction; return the tags that are touched before the commit."""
    with transaction.atomic():
        write()
        return {tag for intent in get_runtime().in_flight for tag in intent.tags}


class Rows:
    """Database rows for the tests: at least one row of each cached model."""

    def __init__(self) -> None:
        self.instance = an_instance()
        self.group = a_group(self.instance)
        self.contact = a_contact(self.instance)
        self.chat = a_chat(self.instance, contact=self.contact)
        self.message = a_message(self.group)
        self.member = self.group.participants.create(contact=self.contact, clock="1")
        self.user = User.objects.create_user("ana")
        self.membership = Membership.objects.create(user=self.user, instance=self.instance)
        self.token, _ = ApiToken.objects.issue(self.user)

    def tags_of(self, row: models.Model) -> set[str]:
        """Return the tags that a write to a row should touch."""
        pk, instance = row.pk, self.instance.pk
        by_model: dict[type[models.Model], set[str]] = {
            Instance: {f"instance:{pk}", f"instances:named:{self.instance.name_digest}", "instances:all"},
            Contact: {f"contact:{pk}", f"contacts:instance:{instance}", "contacts:all"},
            Conversation: {
                f"conversation:{pk}", f"messages:{pk}", f"conversations:instance:{instance}", "conversations:all",
            },
            Message: {f"message:{pk}", f"messages:{self.group.pk}", f"messages:instance:{instance}", "messages:all"},
            Participant: {f"conversations:participants:{self.group.pk}"},
            Membership: {f"access:user:{self.user.pk}"},
            ApiToken: {f"access:token:{self.token.digest_key}", f"access:user:{self.user.pk}"},
        }  # fmt: skip
        return by_model[type(row)]

    def __iter__(self) -> Iterator[Any]:
        yield from (self.instance, self.contact, self.group, self.message, self.member, self.membership, self.token)


@pytest.fixture
def rows() -> Rows:
    return Rows()


def test_every_cached_model_has_a_rule(rows: Rows) -> None:
    cached_models = {model for model in apps.get_models() if issubclass(model, CachedModel)}
    assert {rule.model for rule in INVALIDATION_RULES} == cached_models == {type(row) for row in rows}
    assert {rule.namespaces[0] for rule in INVALIDATION_RULES} == {*NAMESPACES} - {ANSWERS}


def test_a_tag_without_a_namespace_is_rejected() -> None:
    with pytest.raises(UnknownNamespace):
        _ = InvalidationRule(Instance, ("instance:{pk}", "nonsense:all")).namespace_tags


# --- single rows ------------------------------------------------------------------------------------------------------
def test_a_save_touches_the_tags_of_the_row(rows: Rows) -> None:
    for row in rows:
        assert tags_of_write(row.save) == rows.tags_of(row)
        fields = [field.name for field in row._meta.concrete_fields if not field.primary_key][:1]  # noqa: SLF001 - Django documents the attribute _meta
        tags = tags_of_write(lambda row=row, fields=fields: row.save(update_fields=fields))  # type: ignore[misc]  # mypy cannot infer the type of a lambda's default
        assert tags == rows.tags_of(row)


def test_an_insert_touches_the_lists_of_the_row_and_the_insert_tag(rows: Rows) -> None:
    instance = rows.instance
    inserts: dict[Callable[[], Any], set[str]] = {
        lambda: an_instance(name="Loja"): {
            f"instances:named:{Instance(name='Loja').name_digest}", "instances:all", "instances:new",
        },
        lambda: a_contact(instance): {f"contacts:instance:{instance.pk}", "contacts:all", "contacts:new"},
        lambda: a_group(instance): {
            f"conversations:instance:{instance.pk}", "conversations:all", "conversations:new",
        },
        lambda: a_message(rows.group): {
            f"messages:{rows.group.pk}", f"messages:instance:{instance.pk}", "messages:all", "messages:new",
        },
    }  # fmt: skip
    for insert, expected in inserts.items():
        assert tags_of_write(insert) == expected


def test_an_insert_with_a_given_key_touches_the_tag_of_the_row_too() -> None:
    assert tags_of_write(lambda: an_instance(pk=77)) >= {"instance:77", "instances:all"}
    with pytest.raises(Instance.DoesNotExist):
        Instance.objects.fetch(78)
    row = an_instance(pk=78)
    assert Instance.objects.fetch(78) == row


def test_a_delete_touches_the_tags_of_the_row(rows: Rows) -> None:
    for row in (rows.member, rows.message):
        expected = rows.tags_of(row)
        assert tags_of_write(row.delete) >= expected


def test_deleting_an_instance_touches_the_namespaces_of_its_rows(rows: Rows) -> None:
    own = (rows.instance, rows.membership)
    expected = {*(tag for row in own for tag in rows.tags_of(row)), "contacts", "conversations", "messages"}
    assert tags_of_write(rows.instance.delete) == expected


def test_a_row_that_moves_touches_its_old_and_its_new_list(rows: Rows) -> None:
    other = a_group(rows.instance)
    old = rows.tags_of(rows.message)
    rows.message.conversation = other
    assert tags_of_write(rows.message.save) == {*old, f"messages:{other.pk}"}
    old = rows.tags_of(rows.member)
    rows.member.conversation = other
    assert tags_of_write(rows.member.save) == {*old, f"conversations:participants:{other.pk}"}


# --- many rows --------------------------------------------------------------------------------------------------------
def test_a_write_to_unknown_rows_touches_their_namespaces(rows: Rows) -> None:
    def update_two_tables() -> None:
        Contact.objects.filter(name="x").update(name="y")
        rows.group.participants.update(is_present=False)

    assert tags_of_write(update_two_tables) == {"contacts", "conversations"}
    tags = tags_of_write(lambda: Conversation.objects.bulk_update([rows.group], ["name"]))
    assert tags == {"conversations", "messages"}


def test_a_bulk_insert_touches_only_the_lists_of_its_rows() -> None:
    one, other = an_instance(), an_instance()

    def contacts(number: int) -> list[Contact]:
        return [Contact(instance=(one, other)[i % 2], jid=f"{number}-{i}@lid") for i in range(number)]

    lists = {"contacts:new", "contacts:all", f"contacts:instance:{one.pk}", f"contacts:instance:{other.pk}"}
    assert tags_of_write(lambda: Contact.objects.bulk_create(contacts(2))) == lists
    assert tags_of_write(lambda: Contact.objects.fast_bulk_create(contacts(2500))) == lists
    assert tags_of_write(lambda: Contact.objects.bulk_create([])) == set()


def test_a_bulk_insert_of_rows_with_texts_as_keys_touches_the_lists_of_each_row() -> None:
    instance = an_instance()
    one, other = a_group(instance), a_group(instance)
    values: dict[str, Any] = {"from_me": False, "kind": "text", "timestamp": NOON, "instance_id": instance.pk}
    chats: list[Any] = [one.pk, one.pk, f"0{other.pk}"]
    messages = [Message(key_id=f"3EB{n}", conversation_id=pk, **values) for n, pk in enumerate(chats)]
    touched = tags_of_write(lambda: Message.objects.bulk_create(messages))
    lists = {f"messages:{one.pk}", f"messages:{other.pk}", f"messages:instance:{instance.pk}", "messages:all"}
    assert touched == lists | {"messages:new"}
    for message, chat in ((messages[0], one), (messages[2], other)):
        touched = tags_of_write(partial(message.save, update_fields=["text"]))
        assert {f"message:{message.pk}", f"messages:{chat.pk}"} <= touched


def test_a_fast_bulk_update_touches_the_tags_of_its_rows_or_the_namespace_if_they_are_too_many(rows: Rows) -> None:
    a_contact(rows.instance)
    tags = tags_of_write(lambda: Contact.objects.fast_bulk_update([rows.contact], ["name"]))
    assert tags == rows.tags_of(rows.contact)
    contacts = [Contact(instance=rows.instance, jid=f"{number}@lid") for number in range(1999)]
    Contact.objects.fast_bulk_create(contacts)
    assert len(tags_of_write(lambda: Contact.objects.fast_bulk_update(contacts[1:], ["name"]))) == 2000
    assert tags_of_write(lambda: Contact.objects.fast_bulk_update(contacts, ["name"])) == {"contacts"}


def test_a_fast_bulk_update_of_rows_that_were_not_loaded_touches_the_namespace(rows: Rows) -> None:
    in_memory = Contact(pk=rows.contact.pk, name="new")
    assert tags_of_write(lambda: Contact.objects.fast_bulk_update([in_memory], ["name"])) == {"contacts"}


@pytest.mark.parametrize("operation", [models.Model.save, models.Model.delete])
def test_a_row_that_was_loaded_is_written_without_a_query_for_its_tags(
    rows: Rows, operation: Callable[[models.Model], object]
) -> None:
    """The rules of these models have only immutable fields; rows come from the database, the cache or an insert."""
    for row in (
        Contact.objects.get(pk=rows.contact.pk),
        Contact.objects.fetch(rows.contact.pk),
        Contact.objects.fetch(rows.contact.pk),
        Contact.objects.for_instance(rows.instance).rows[0],
        a_contact(rows.instance),
        Contact.objects.bulk_create([Contact(instance=rows.instance, jid="1@lid")])[0],
    ):
        row.instance_id = rows.instance.pk + 1  # not saved
        with transaction.atomic(), CaptureQueriesContext(connection) as queries:
            with suppress(models.RestrictedError, DatabaseError), transaction.atomic():
                operation(row)
            transaction.set_rollback(True)
        table = Contact._meta.db_table  # noqa: SLF001 - Django documents the attribute _meta
        sqls = [one["sql"] for one in queries.captured_queries]
        assert not [sql for sql in sqls if sql.startswith(f'SELECT "{table}"') and f'"{table}"."id" =' in sql]


def test_tags_for_collects_the_tags_of_rows_of_several_models(rows: Rows) -> None:
    several = [*rows, Contact(instance=rows.instance), WebhookEvent(instance=rows.instance)]
    assert set(rules.tags_for(several)) == set().union(*map(rows.tags_of, rows)) | {"contacts:new"}


# --- related rows -----------------------------------------------------------------------------------------------------
def texts(chat: Conversation) -> list[str]:
    return [row.text for row in Message.objects.for_conversation(chat).rows]


def test_a_message_that_moves_leaves_one_list_and_appears_in_the_other() -> None:
    instance = an_instance()
    one, other = a_group(instance), a_group(instance)
    message = a_message(one, text="hello")
    assert (texts(one), texts(other)) == (["hello"], [])
    message.conversation = other
    message.save()
    assert (texts(one), texts(other)) == ([], ["hello"])


def test_a_stale_copy_of_a_moved_message_invalidates_the_list_that_the_message_is_in_now() -> None:
    instance = an_instance()
    one, other = a_group(instance), a_group(instance)
    message = a_message(one, text="hello")
    Message.objects.filter(pk=message.pk).update(conversation=other)
    assert (texts(one), texts(other)) == ([], ["hello"])
    message.text = "changed"
    message.save(update_fields=["text"])
    assert (texts(one), texts(other)) == ([], ["changed"])


def test_a_delete_invalidates_rows_in_which_the_database_sets_the_key_to_null() -> None:
    chat = a_chat(an_instance())
    message = a_message(chat)
    chat.last_message = message
    chat.save()
    assert Conversation.objects.fetch(chat.pk).last_message_id == message.pk
    message.delete()
    assert Conversation.objects.fetch(chat.pk).last_message_id is None


def test_a_contacts_new_name_appears_among_the_participants_of_its_groups() -> None:
    instance = an_instance()
    group, contact = a_group(instance), a_contact(instance, name="Ana")
    group.participants.create(contact=contact, clock="1")
    assert [one.contact.name for one in Participant.objects.shown(group)] == ["Ana"]
    contact.name = "Bia"
    contact.save()
    assert [one.contact.name for one in Participant.objects.shown(group)] == ["Bia"]
    group.participants.update(is_present=False)
    assert Participant.objects.shown(group) == []
