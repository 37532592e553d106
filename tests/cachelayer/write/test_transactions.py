"""Every way in which Django writes, in and out of transactions: what is cached never differs from what is there."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import pytest
from asgiref.sync import sync_to_async
from django.core.signals import request_finished
from django.db import IntegrityError, connection, connections, transaction
from django.db.models import F, Model
from django.db.models.signals import post_save, pre_save
from django.test.utils import CaptureQueriesContext

from cachelayer import cache
from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Contact, Conversation, Instance, Message
from tests.conversations.rows import a_chat, a_contact, a_group, a_message, an_instance

T = TypeVar("T")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]


@pytest.fixture
def row() -> Instance:
    """A row that both tiers have."""
    made = an_instance(profile_name="old")
    assert name_of(made) == "old"
    return made


def name_of(row: Instance) -> str:
    return Instance.objects.fetch(row.pk).profile_name


def in_a_thread(act: Callable[[], Any]) -> Any:
    """Do something as another request does: in another thread, on another connection."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(act())
        except BaseException as error:  # noqa: BLE001 - it is raised below
            found.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


@contextmanager
def queries(number: int) -> Iterator[None]:
    with CaptureQueriesContext(connection) as captured:
        yield
    assert len(captured) == number, captured.captured_queries


def test_a_read_is_one_query_and_then_none(row: Instance) -> None:
    for fresh in (False, True):
        with queries(0):
            assert Instance.objects.fetch(row.pk, fresh=fresh) == row


# --- outside a transaction --------------------------------------------------------------------------------------------
def test_a_save_is_seen_and_leaves_nothing_held(row: Instance, cache_runtime: CacheRuntime) -> None:
    row.profile_name = "new"
    row.save()
    with queries(1):
        assert name_of(row) == "new"
    with queries(0):
        assert name_of(row) == "new"
    assert not cache_runtime.in_flight


def test_a_save_that_fails_leaves_nothing_held(row: Instance, cache_runtime: CacheRuntime) -> None:
    with pytest.raises(IntegrityError):
        Instance.objects.create(name=row.name, server_url=row.server_url)
    assert not cache_runtime.in_flight
    with queries(0):
        assert name_of(row) == "old"


def test_a_save_inside_the_signal_of_another(row: Instance, cache_runtime: CacheRuntime) -> None:
    other = an_instance(profile_name="old")
    assert name_of(other) == "old"

    def save_the_other(instance: Instance, **_signal: Any) -> None:
        if instance == row:
            other.profile_name = "new"
            other.save()
            assert name_of(other) == "new"
            assert cache_runtime.in_flight, "the outer save has not been written yet"

    pre_save.connect(save_the_other, sender=Instance)
    try:
        row.profile_name = "new"
        row.save()
    finally:
        pre_save.disconnect(save_the_other, sender=Instance)
    assert (name_of(row), name_of(other)) == ("new", "new")
    assert not cache_runtime.in_flight


def test_what_a_receiver_reads_after_the_save_is_new(row: Instance) -> None:
    seen = []

    def read(instance: Instance, **_signal: Any) -> None:
        seen.append(name_of(instance))

    post_save.connect(read, sender=Instance)
    try:
        row.profile_name = "new"
        row.save()
    finally:
        post_save.disconnect(read, sender=Instance)
    assert seen == ["new"]


def test_a_save_past_the_models_own_method(row: Instance, cache_runtime: CacheRuntime) -> None:
    """Fixtures are loaded so (`DeserializedObject.save`)."""
    row.profile_name = "new"
    Model.save_base(row, raw=True)
    assert name_of(row) == "new"
    assert not cache_runtime.in_flight


# --- inside a transaction ---------------------------------------------------------------------------------------------
def test_a_transaction_reads_what_it_wrote_and_others_what_is_committed(row: Instance) -> None:
    with transaction.atomic():
        row.profile_name = "new"
        row.save()
        assert name_of(row) == "new"
        if connection.vendor == "postgresql":
            assert in_a_thread(lambda: name_of(row)) == "old"
        assert name_of(row) == "new"
    assert name_of(row) == "new"
    assert in_a_thread(lambda: name_of(row)) == "new"
    with queries(0):
        assert name_of(row) == "new"


def test_what_is_read_in_a_transaction_is_not_kept() -> None:
    row = an_instance()
    with transaction.atomic():
        Instance.objects.fetch(row.pk)
    with queries(1):
        Instance.objects.fetch(row.pk)


def test_a_rollback_leaves_the_old_row(row: Instance) -> None:
    with suppress(ZeroDivisionError), transaction.atomic():
        row.profile_name = "new"
        row.save()
        raise ZeroDivisionError
    assert name_of(row) == "old"
    assert in_a_thread(lambda: name_of(row)) == "old"


def test_what_was_rolled_back_is_let_go_at_the_end_of_the_request(row: Instance, cache_runtime: CacheRuntime) -> None:
    with suppress(ZeroDivisionError), transaction.atomic():
        row.save()
        raise ZeroDivisionError
    assert cache_runtime.in_flight
    request_finished.send(sender=None)
    assert not cache_runtime.in_flight
    assert name_of(row) == "old"
    with queries(0):
        assert name_of(row) == "old"


def test_an_inner_rollback_does_not_take_the_end_of_the_outer_write_with_it(
    row: Instance, cache_runtime: CacheRuntime
) -> None:
    """Django forgets `on_commit` callbacks of a savepoint that is rolled back."""
    with transaction.atomic():
        with suppress(ZeroDivisionError), transaction.atomic():
            row.profile_name = "inner"
            row.save()
            raise ZeroDivisionError
        row.profile_name = "outer"
        row.save()
    assert not cache_runtime.in_flight
    assert name_of(row) == "outer"
    with queries(0):
        assert name_of(row) == "outer"


@pytest.mark.parametrize("inner_fails", [False, True])
@pytest.mark.parametrize("outer_fails", [False, True])
def test_nested_transactions(row: Instance, cache_runtime: CacheRuntime, *, inner_fails: bool, outer_fails: bool) -> None:
    other = an_instance(profile_name="old")
    assert name_of(other) == "old"
    with suppress(ZeroDivisionError), transaction.atomic():
        row.profile_name = "new"
        row.save()
        with suppress(ZeroDivisionError), transaction.atomic():
            other.profile_name = "new"
            other.save()
            if inner_fails:
                raise ZeroDivisionError
        if outer_fails:
            raise ZeroDivisionError
    assert name_of(row) == ("old" if outer_fails else "new")
    assert name_of(other) == ("old" if outer_fails or inner_fails else "new")
    an_instance()  # the next write of this connection ends what was rolled back
    assert not cache_runtime.in_flight


def test_a_hook_that_writes_after_the_commit(row: Instance, cache_runtime: CacheRuntime) -> None:
    def hook() -> None:
        row.profile_name = "hook"
        row.save()

    with transaction.atomic():
        transaction.on_commit(hook)
        row.profile_name = "new"
        row.save()
    assert name_of(row) == "hook"
    assert not cache_runtime.in_flight


def test_a_transaction_that_touches_very_much_touches_everything(cache_runtime: CacheRuntime) -> None:
    instance = an_instance()
    rows = Contact.objects.bulk_create(Contact(instance=instance, jid=f"{n}@lid", name=f"{n:04}") for n in range(2010))
    assert len(Contact.objects.fetch_many(row.pk for row in rows)) == 2010
    with transaction.atomic():
        for row in rows:
            row.name += "!"
            row.save(update_fields=["name"])
        (write,) = cache_runtime.in_flight
        assert "contacts" in write.tags
        assert len(write.tags) <= 2001
    found = Contact.objects.fetch_many(row.pk for row in rows)
    assert all(row.name.endswith("!") for row in found.values())


# --- in bulk ----------------------------------------------------------------------------------------------------------
def everything(instance: Instance) -> list[list[Any]]:
    """All that is cached of an instance's contacts."""
    rows = Contact.objects.for_instance(instance).rows
    pks = Contact.objects.filter(instance=instance).values_list("pk", flat=True)
    fetched = Contact.objects.fetch_many(pks).values()
    return [
        [(row.pk, row.name, row.presence) for row in found]
        for found in (rows, sorted(fetched, key=lambda r: (r.name, r.pk)))
    ]


WRITES: dict[str, Callable[[Instance, Contact], object]] = {
    "update": lambda _, row: Contact.objects.filter(pk=row.pk).update(name="new"),
    "update of related rows": lambda instance, _: instance.contacts.update(name=F("jid")),
    "update by the base manager": lambda _, row: Contact._base_manager.filter(pk=row.pk).update(name="new"),  # noqa: SLF001
    "bulk_create": lambda instance, _: Contact.objects.bulk_create([Contact(instance=instance, jid="1@lid", name="1")]),
    "bulk_create with conflicts": lambda instance, row: Contact.objects.bulk_create(
        [Contact(instance=instance, jid=row.jid, name="new")],
        update_conflicts=True,
        unique_fields=["instance", "jid"],
        update_fields=["name"],
    ),
    "bulk_update": lambda _, row: Contact.objects.bulk_update([changed(row)], ["name"]),
    "fast_bulk_update": lambda _, row: Contact.objects.fast_bulk_update([changed(row)], ["name"]),
    "update_or_create": lambda instance, row: Contact.objects.update_or_create(
        instance=instance, jid=row.jid, defaults={"name": "new"}
    ),
    "get_or_create": lambda instance, _: Contact.objects.get_or_create(instance=instance, jid="2@lid"),
    "create": lambda instance, _: instance.contacts.create(jid="3@lid", name="new"),
    "save of some fields": lambda _, row: changed(row).save(update_fields=["name"]),
    "delete": lambda _, row: row.delete(),
    "delete in bulk": lambda instance, _: instance.contacts.all().delete(),
    "asave": lambda _, row: run(changed(row).asave()),
    "aupdate": lambda _, row: run(Contact.objects.filter(pk=row.pk).aupdate(name="new")),
}


async def closing(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return await coroutine
    finally:
        await sync_to_async(connections.close_all)()  # of the thread in which coroutines use the database


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(closing(coroutine))


def changed(row: Contact) -> Contact:
    row.name = "new"
    return row


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("fails", [False, True], ids=["committed", "rolled back"])
def test_writes_of_every_kind(
    cache_runtime: CacheRuntime, write: Callable[[Instance, Contact], object], *, fails: bool
) -> None:
    instance = an_instance()
    row = a_contact(instance, name="old")
    a_contact(instance, name="other")
    before = everything(instance)
    assert everything(instance) == before
    if fails:
        with suppress(ZeroDivisionError), transaction.atomic():
            if "run" in write.__code__.co_names:
                raise ZeroDivisionError  # a transaction is a thread's own
            write(instance, row)
            assert everything(instance) != before
            raise ZeroDivisionError
        assert everything(instance) == before
    else:
        write(instance, row)
        after = everything(instance)
        assert after[0] == after[1] != before[0]
        assert after[0] == [
            (one.pk, one.name, one.presence) for one in Contact.objects.filter(instance=instance).order_by("name", "pk")
        ]
        assert not cache_runtime.in_flight


# --- relations --------------------------------------------------------------------------------------------------------
def texts(chat: Conversation) -> list[str]:
    return [row.text for row in Message.objects.for_conversation(chat).rows]


def test_a_message_that_moves_leaves_one_list_and_joins_another() -> None:
    instance = an_instance()
    one, other = a_group(instance), a_group(instance)
    message = a_message(one, text="hello")
    assert (texts(one), texts(other)) == (["hello"], [])
    message.conversation = other
    message.save()
    assert (texts(one), texts(other)) == ([], ["hello"])


def test_a_message_saved_by_one_who_does_not_know_that_it_has_moved() -> None:
    instance = an_instance()
    one, other = a_group(instance), a_group(instance)
    message = a_message(one, text="hello")
    Message.objects.filter(pk=message.pk).update(conversation=other)
    assert (texts(one), texts(other)) == ([], ["hello"])
    message.text = "changed"
    message.save(update_fields=["text"])
    assert (texts(one), texts(other)) == ([], ["changed"])


def test_what_the_database_sets_to_null_with_a_deletion() -> None:
    chat = a_chat(an_instance())
    message = a_message(chat)
    chat.last_message = message
    chat.save()
    assert Conversation.objects.fetch(chat.pk).last_message_id == message.pk
    message.delete()
    assert Conversation.objects.fetch(chat.pk).last_message_id is None


def test_a_contacts_name_shows_among_the_members_of_its_groups() -> None:
    instance = an_instance()
    group, contact = a_group(instance), a_contact(instance, name="Ana")
    group.participants.create(contact=contact, clock="1")
    assert [one.contact.name for one in Conversation.objects.participants(group)] == ["Ana"]
    contact.name = "Bia"
    contact.save()
    assert [one.contact.name for one in Conversation.objects.participants(group)] == ["Bia"]
    group.participants.update(is_present=False)
    assert Conversation.objects.participants(group) == []


# --- past the ORM, and beside it --------------------------------------------------------------------------------------
@pytest.mark.parametrize("in_transaction", [False, True])
def test_sql_that_announces_itself(row: Instance, cache_runtime: CacheRuntime, *, in_transaction: bool) -> None:
    def write() -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE conversations_instance SET profile_name = 'new' WHERE id = %s", [row.pk])

    if in_transaction:
        with transaction.atomic():
            cache.touch(f"instance:{row.pk}")
            write()
            assert name_of(row) == "new"
    else:
        write()
        cache.touch(f"instance:{row.pk}")
    assert name_of(row) == "new"
    assert not cache_runtime.in_flight


def test_a_manager_of_another_database_and_a_related_one_read_the_database(row: Instance) -> None:
    with queries(2):
        Instance.objects.db_manager("default").fetch(row.pk)
        Instance.objects.db_manager("default").fetch(row.pk)
    contact, stranger = a_contact(row), a_contact(an_instance())
    Contact.objects.fetch_many([contact.pk, stranger.pk])
    assert list(row.contacts.fetch_many([contact.pk, stranger.pk])) == [contact.pk]
    with pytest.raises(Contact.DoesNotExist):
        row.contacts.fetch(stranger.pk)


def test_an_absence_is_known_until_a_row_is_born() -> None:
    pk = an_instance().pk + 1
    for expected in (1, 0, 0):
        with queries(expected), pytest.raises(Instance.DoesNotExist):
            Instance.objects.fetch(pk)
    born = an_instance()
    if born.pk == pk:  # as a rule; a database may leave some out
        assert Instance.objects.fetch(pk) == born


def test_coroutines(row: Instance) -> None:
    async def read() -> list[str]:
        found = [await Instance.objects.afetch(row.pk), await sync_to_async(Instance.objects.fetch)(row.pk)]
        return [one.profile_name for one in found]

    assert run(read()) == ["old", "old"]
    row.profile_name = "new"
    run(row.asave())
    assert run(read()) == ["new", "new"]
