"""A sweep: after each way in which the ORM can write a row, every cached read must agree with the database.

`FORMS` lists how a caller can come by a model instance, and `OPERATIONS` how it can write that instance. Each
combination is tried for each cached model. `OTHER_WRITES` lists writes that take no model instance. On PostgreSQL with
a shared store, two forms are tried. With EXPLORE=all, every combination is tried on both.
"""

import asyncio
import copy
import itertools
import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import pytest
from asgiref.sync import sync_to_async
from django.core import serializers
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, connections, models, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.db.models.signals import post_save, pre_save

from cachelayer import cache
from conversations.models import Contact, Conversation, Instance, Message, Participant
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance
from tests.effort import EXPLORES_ALL, sweep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]

Row = Any  # a model instance of one of the cached models
T = TypeVar("T")

# By model: a field that the writes change, and the fields that decide in which lists the row appears.
FIELDS: dict[type[models.Model], tuple[str, tuple[str, ...]]] = {
    Instance: ("profile_name", ("name",)),
    Contact: ("name", ("instance_id",)),
    Conversation: ("name", ("instance_id",)),
    Message: ("text", ("conversation_id", "instance_id")),
    Participant: ("role", ("conversation_id",)),
}


class World:
    """Two instances, `mine` and `other`, that each have a contact, a direct chat, a group and a message in each."""

    def __init__(self) -> None:
        self.mine, self.other = an_instance(), an_instance()
        self.instances = [self.mine, self.other]
        self.contacts = [a_contact(one, name="c") for one in self.instances]
        self.chats = [a_chat(one.instance, contact=one) for one in self.contacts]
        self.groups = [a_group(one, name="g") for one in self.instances]
        for chat in (*self.chats, *self.groups):
            a_message(chat)
        for group in self.groups:
            for one in self.contacts:
                if one.instance == group.instance:
                    Participant.objects.create(conversation=group, contact=one, clock="1")
        self.values = 0

    def row_of(self, model: type[models.Model], instance: Instance) -> Row:
        """Return the last row of a model that belongs to an instance; a message or a participant is one of a group."""
        if model is Instance:
            return Instance.objects.filter(pk=instance.pk).first()
        owner = "conversation__instance" if model is Participant else "instance"
        return model._default_manager.filter(**{owner: instance}).order_by("pk").last()  # noqa: SLF001 - Django documents _default_manager

    def new_value(self) -> str:
        """Return a short text that no row contains."""
        self.values += 1
        return f"v{self.values}"

    # --- reads --------------------------------------------------------------------------------------------------------
    def reads(self) -> "dict[str, Callable[[Access], Any]]":
        """Return every kind of cached read of this world."""
        reads: dict[str, Callable[[Access], Any]] = {
            "instances": lambda db: db(Instance).page(limit=100, **db.options),
            "contacts": lambda db: db(Contact).for_instance(None, limit=100, **db.options),
            "conversations": lambda db: db(Conversation).for_instance(None, limit=100, **db.options),
            "messages": lambda db: db(Message).for_instance(None, limit=100, **db.options),
        }
        for one in self.instances:
            reads |= _reads_of_instance(one.pk, one.name)
        for chat in (*self.chats, *self.groups):
            reads[f"thread {chat.pk}"] = lambda db, pk=chat.pk: db(Message).for_conversation(pk, **db.options)  # type: ignore[misc]  # mypy cannot infer the type of a lambda's default
        for group in self.groups:
            reads[f"participants {group.pk}"] = lambda db, row=group: db(Participant).page(row, limit=100, **db.options)  # type: ignore[misc]  # as above
        rows: dict[type[models.Model], list[Row]] = {
            Instance: self.instances,
            Contact: self.contacts,
            Conversation: [*self.chats, *self.groups],
            Message: list(Message.objects.filter(instance__in=self.instances)),
        }
        for model, known in rows.items():
            pks = [row.pk for row in known]
            pks += [max(pks) + 1, max(pks) + 2]  # rows that do not exist, or that a write inserts
            for pk in pks:
                reads[f"{model.__name__} {pk}"] = lambda db, pk=pk, model=model: db.fetch(model, pk)  # type: ignore[misc]  # as above
            reads[f"many {model.__name__}"] = lambda db, pks=pks, model=model: list(  # type: ignore[misc]  # as above
                db(model).fetch_many(pks, **db.options).values()
            )
        return reads


def _reads_of_instance(pk: int, name: str) -> "dict[str, Callable[[Access], Any]]":
    def names() -> list[str]:
        return [row.name for row in Contact.objects.filter(instance=pk).order_by("pk")]

    def texts() -> list[str]:
        return [row.text for row in Message.objects.filter(instance=pk).order_by("pk")]

    return {
        f"named {pk}": lambda db: db(Instance).by_name(name),
        f"contacts of {pk}": lambda db: db(Contact).for_instance(pk, **db.options),
        f"contacts of {pk}, page 1": lambda db: db(Contact).for_instance(pk, limit=1, **db.options),
        f"conversations of {pk}": lambda db: db(Conversation).for_instance(pk, **db.options),
        f"pinned of {pk}": lambda db: db(Conversation).for_instance(pk, pinned=True, **db.options),
        f"unread of {pk}": lambda db: db(Conversation).for_instance(pk, unread=True, **db.options),
        f"messages of {pk}": lambda db: db(Message).for_instance(pk, **db.options),
        f"inbound of {pk}": lambda db: db(Message).for_instance(pk, from_me=False, **db.options),
        f"names of {pk}": lambda db: db.value(f"contacts:names:{pk}", names, f"contacts:instance:{pk}"),
        f"texts of {pk}": lambda db: db.value(f"messages:texts:{pk}", texts, f"messages:instance:{pk}"),
    }


class Access:
    """How a read is answered: by the local cache, by the shared store (`fresh`), or by the database (`uncached`)."""

    def __init__(self, *, fresh: bool = False, uncached: bool = False) -> None:
        self.options = {"fresh": fresh}
        self.uncached = uncached
        self._rows: dict[Any, dict[Any, Row]] = {}

    def fetch(self, model: Any, pk: int) -> Row | None:
        """Return a row, or None if it does not exist; without the cache, all rows of a model are read at once."""
        if self.uncached:
            if model not in self._rows:
                self._rows[model] = self(model).in_bulk()
            return self._rows[model].get(pk)
        try:
            return self(model).fetch(pk, **self.options)
        except model.DoesNotExist:
            return None

    def __call__(self, model: type[models.Model]) -> Any:
        """Return the manager of a model."""
        manager: Any = model._default_manager  # noqa: SLF001 - Django documents _default_manager
        return manager.db_manager("default") if self.uncached else manager

    def value(self, key: str, load: Callable[[], T], tag: str) -> T:
        """Return a plain value that depends on a tag."""
        return load() if self.uncached else cache.fetch(key, load, tags=(tag,))


LOCAL, SHARED = Access(), Access(fresh=True)


def comparable(found: Any) -> Any:
    """Return a value that equals another one only if all columns of all rows are equal."""
    if isinstance(found, models.Model):
        return [getattr(found, field.attname) for field in found._meta.concrete_fields]  # noqa: SLF001 - Django documents _meta
    if isinstance(found, list):
        return [comparable(one) for one in found]
    return comparable(found.rows) if hasattr(found, "rows") else found


def stale_reads(world: World, write: Callable[[], object]) -> tuple[list[str], bool]:
    """Fill the cache, write, and read again.

    Returns:
        The names of the reads that differ from the database, and whether the write changed what they should return.
    """
    reads = world.reads()
    before = {name: comparable(read(LOCAL)) for name, read in reads.items()}
    with suppress(DatabaseError, ValueError, ObjectDoesNotExist):  # the cache must be right after a failure too
        write()
    found = [(name, comparable(read(access))) for access in (LOCAL, SHARED) for name, read in reads.items()]
    database = Access(uncached=True)
    expected = {name: comparable(read(database)) for name, read in reads.items()}
    return sorted({name for name, value in found if value != expected[name]}), expected != before


# --- model instances --------------------------------------------------------------------------------------------------
Form = Callable[[World, type[models.Model], str], Row]


def loaded(world: World, model: type[models.Model], text: str) -> Row:
    row = world.row_of(model, world.mine)
    setattr(row, FIELDS[model][0], text)
    return row


def fetched(world: World, model: type[models.Model], text: str) -> Row:
    manager: Any = model._default_manager  # noqa: SLF001 - Django documents _default_manager
    pk = world.row_of(model, world.mine).pk
    row = manager.get(pk=pk) if model is Participant else manager.fetch(pk)
    setattr(row, FIELDS[model][0], text)
    return row


def deferred(world: World, model: type[models.Model], text: str) -> Row:
    pk = world.row_of(model, world.mine).pk
    row = model._default_manager.only("pk").get(pk=pk)  # noqa: SLF001 - Django documents _default_manager
    setattr(row, FIELDS[model][0], text)
    return row


def in_memory(world: World, model: type[models.Model], text: str) -> Row:
    return model(pk=world.row_of(model, world.mine).pk, **{FIELDS[model][0]: text})


def in_memory_with_text_as_key(world: World, model: type[models.Model], text: str) -> Row:
    return model(pk=f"0{world.row_of(model, world.mine).pk}", **{FIELDS[model][0]: text})


def with_another_owner(row: Row, world: World) -> Row:
    other = world.row_of(type(row), world.other)
    for name in FIELDS[type(row)][1]:
        setattr(row, name, getattr(other, name))
    return row


def with_another_key(world: World, model: type[models.Model], text: str) -> Row:
    row = world.row_of(model, world.other)
    row.pk = world.row_of(model, world.mine).pk
    setattr(row, FIELDS[model][0], text)
    return row


FORMS: dict[str, Form] = {
    "loaded": loaded,
    "fetched": fetched,
    "deferred": deferred,
    "in memory": in_memory,
    "in memory, with text as key": in_memory_with_text_as_key,
    "in memory, with another owner": lambda world, *args: with_another_owner(in_memory(world, *args), world),
    "loaded, with another owner": lambda world, *args: with_another_owner(loaded(world, *args), world),
    "fetched, with another owner": lambda world, *args: with_another_owner(fetched(world, *args), world),
    "loaded, with another key": with_another_key,
}


# --- writes of a model instance ---------------------------------------------------------------------------------------
def field_of(row: Row) -> str:
    return FIELDS[type(row)][0]


def save_and_save_again_raw(row: Row) -> None:
    """Save a row while a receiver of `post_save` saves it again, as fixtures are loaded."""

    def save_again(instance: Row, raw: bool, **_signal: Any) -> None:  # noqa: FBT001 - Django passes the argument by name
        if instance is row and not raw:
            setattr(row, field_of(row), getattr(row, field_of(row)) + "!")
            models.Model.save_base(row, raw=True, update_fields=[field_of(row)])

    with receiver(post_save, save_again):
        row.save(update_fields=[field_of(row)])


@contextmanager
def receiver(signal: Any, receive: Callable[..., None]) -> Iterator[None]:
    signal.connect(receive, weak=False)
    try:
        yield
    finally:
        signal.disconnect(receive)


def in_transaction(write: Callable[[Row], object]) -> Callable[[Row], object]:
    def write_in_transaction(row: Row) -> None:
        with transaction.atomic():
            write(row)

    return write_in_transaction


def run(coroutine: Any) -> None:
    """Run a coroutine, and then close the database connections that the coroutine has opened in another thread."""

    async def run_and_close() -> None:
        try:
            await coroutine
        finally:
            await sync_to_async(connections.close_all)()

    asyncio.run(run_and_close())


def upsert(row: Row) -> None:
    (constraint,) = [one for one in row._meta.constraints if isinstance(one, models.UniqueConstraint)]  # noqa: SLF001 - Django documents _meta
    row.pk = None
    type(row)._default_manager.bulk_create(  # noqa: SLF001 - Django documents _default_manager
        [row], update_conflicts=True, unique_fields=constraint.fields, update_fields=[field_of(row)]
    )


def fast_bulk_update(row: Row) -> None:
    type(row).objects.fast_bulk_update([row], [field_of(row)])


OPERATIONS: dict[str, Callable[[Row], object]] = {
    "save": lambda row: row.save(),
    "save some fields": lambda row: row.save(update_fields=[field_of(row)]),
    "Model.save_base": lambda row: models.Model.save_base(row, raw=True, update_fields=[field_of(row)]),
    "bulk_update": lambda row: type(row).objects.bulk_update([row], [field_of(row)]),
    "fast_bulk_update": fast_bulk_update,
    "upsert": upsert,
    "delete": lambda row: row.delete(),
}


def without_key(row: Row) -> Row:
    row.pk = None
    for name in ("jid", "key_id", "name"):
        if hasattr(row, name) and name != field_of(row):
            setattr(row, name, f"{getattr(row, name)}2")
    return row


ON_BOTH = ("fetched", "in memory, with another owner")
# In the usual run, the other forms are tried for three of the five models each.
PAIRS = [
    (form, model)
    for (row, form), (column, model) in itertools.product(enumerate(FORMS), enumerate(FIELDS))
    if EXPLORES_ALL or form in ON_BOTH or (row + column) % 5 < 3
]


@pytest.mark.parametrize(("form", "model"), sweep(PAIRS, on_both=[pair for pair in PAIRS if pair[0] in ON_BOTH]))
def test_every_read_agrees_with_the_database_after_a_row_is_written(form: str, model: type[models.Model]) -> None:
    world = World()
    stale, changes = {}, 0
    for name, operate in OPERATIONS.items():
        if not all(world.row_of(model, one) for one in world.instances):
            world = World()  # an earlier operation has deleted or moved the row
        row = FORMS[form](world, model, world.new_value())
        found, has_changed = stale_reads(world, lambda row=row, operate=operate: operate(row))  # type: ignore[misc]  # mypy cannot infer the type of a lambda's default
        changes += has_changed
        if found:
            stale[name] = found
    assert stale == {}
    assert changes >= 3, "most writes failed"


# --- other writes -----------------------------------------------------------------------------------------------------
def first(world: World, model: type[models.Model]) -> Row:
    return world.row_of(model, world.mine)


def message_of_unsaved_chat(world: World) -> None:
    """Insert a message whose chat got its primary key after the message was built."""
    chat = Conversation(instance=world.mine, kind="group", jid="x@g.us")
    message = Message(instance=world.mine, conversation=chat, key_id="x", from_me=False, timestamp=NOON)
    chat.save()
    Message.objects.bulk_create([message])


def move_in_receiver(world: World) -> None:
    """Save a message while a receiver of `pre_save`, which runs after the cache's own, moves it to another chat."""
    message = first(world, Message)

    def move(instance: Row, **_signal: Any) -> None:
        if instance is message:
            message.conversation_id = world.chats[0].pk

    with receiver(pre_save, move):
        message.save()


def load_fixture(world: World) -> None:
    """Write the rows as `loaddata` does, but outside of a transaction."""
    rows = json.loads(serializers.serialize("json", [first(world, Contact), first(world, Message)]))
    rows[0]["fields"]["name"] = rows[1]["fields"]["text"] = world.new_value()
    for one in serializers.deserialize("json", json.dumps(rows)):
        one.save()


def save_refreshed(row: Row) -> None:
    row.refresh_from_db()
    set_by_expression(row, name="v")


def set_by_expression(row: Row, **values: Any) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


def move_messages(world: World) -> None:
    Message.objects.filter(conversation=world.groups[0]).update(conversation=world.chats[0])


OTHER_WRITES: dict[str, Callable[[World], object]] = {
    "update": lambda world: Contact.objects.filter(instance=world.mine).update(name="v"),
    "update with an expression": lambda _: Contact.objects.update(name=Concat(F("name"), Value("v"))),
    "update of related rows": lambda world: world.mine.contacts.update(name="v"),
    "update of the owner": move_messages,
    "update by the base manager": lambda _: Contact._base_manager.update(name="v"),  # noqa: SLF001 - Django documents _base_manager
    "update of rows that are selected for update": lambda _: Contact.objects.select_for_update().update(name="v"),
    "create": lambda world: a_contact(world.mine),
    "create by a related manager": lambda world: world.mine.contacts.create(jid="1@lid"),
    "create with a key": lambda world: Contact.objects.create(
        pk=max(one.pk for one in world.contacts) + 1, instance=world.mine, jid="1@lid"
    ),
    "create with text as owner": lambda world: Contact.objects.create(instance_id=f"0{world.mine.pk}", jid="1@lid"),
    "bulk_create": lambda world: Contact.objects.bulk_create([Contact(instance=world.mine, jid="1@lid")]),
    "bulk_create with a key": lambda world: Contact.objects.bulk_create(
        [Contact(pk=max(one.pk for one in world.contacts) + 1, instance=world.mine, jid="1@lid")]
    ),
    "bulk_create with text as owner": lambda world: Contact.objects.bulk_create(
        [Contact(instance_id=f" {world.mine.pk}", jid="1@lid")]
    ),
    "bulk_create with an owner that was saved later": message_of_unsaved_chat,
    "bulk_create that ignores conflicts": lambda world: Contact.objects.bulk_create(
        [loaded(world, Contact, "v"), without_key(loaded(world, Contact, "v"))], ignore_conflicts=True
    ),
    "get_or_create": lambda world: Contact.objects.get_or_create(instance=world.mine, jid="1@lid"),
    "get_or_create of a row that exists": lambda world: Contact.objects.get_or_create(
        instance=world.mine, jid=world.contacts[0].jid
    ),
    "update_or_create": lambda world: Contact.objects.update_or_create(
        instance=world.mine, jid=world.contacts[0].jid, defaults={"name": "v"}
    ),
    "update_or_create of a new row": lambda world: Contact.objects.update_or_create(
        instance=world.mine, jid="1@lid", defaults={"name": "v"}
    ),
    "update_or_create that moves a row": lambda world: Message.objects.update_or_create(
        pk=first(world, Message).pk, defaults={"conversation": world.chats[0]}
    ),
    "add to a related manager": lambda world: world.chats[0].messages.add(first(world, Message)),
    "add unsaved rows to a related manager": lambda world: world.mine.contacts.add(Contact(jid="1@lid"), bulk=False),
    "save with an expression": lambda world: set_by_expression(
        first(world, Message), text=Concat(F("text"), Value("v"))
    ),
    "save with an expression as owner": lambda world: set_by_expression(
        first(world, Message), conversation_id=F("conversation_id") - (world.groups[0].pk - world.chats[0].pk)
    ),
    "save of a row that a receiver moves": move_in_receiver,
    "save of a copy as a new row": lambda world: without_key(first(world, Contact)).save(),
    "save after select_for_update": in_transaction(
        lambda world: set_by_expression(Contact.objects.select_for_update().get(pk=first(world, Contact).pk), name="v")
    ),
    "save of a pickled copy": lambda world: pickle.loads(  # noqa: S301 - pickled here
        pickle.dumps(copy.copy(with_another_owner(fetched(world, Contact, "v"), world)))
    ).save(update_fields=["name"]),
    "save of a row built in memory and refreshed": lambda world: save_refreshed(in_memory(world, Contact, "v")),
    "save by force": lambda world: loaded(world, Message, "v").save(force_update=True),
    "save_base": lambda world: in_memory(world, Contact, "v").save_base(raw=True, update_fields=["name"]),
    "save, and save again raw": lambda world: save_and_save_again_raw(loaded(world, Contact, "v")),
    "save in memory, and save again raw": lambda world: save_and_save_again_raw(in_memory(world, Message, "v")),
    "asave": lambda world: run(in_memory(world, Contact, "v").asave(update_fields=["name"])),
    "load a fixture": load_fixture,
    "delete of a queryset": lambda world: Message.objects.filter(instance=world.mine).delete(),
    "delete of a queryset without owners": lambda world: (
        Message.objects.defer("instance", "conversation").filter(instance=world.mine).delete()
    ),
    "delete of an instance": lambda world: Instance.objects.filter(pk=world.mine.pk).delete(),
    "delete of an instance in memory": lambda world: Instance(pk=world.mine.pk).delete(),
    "delete of a chat in memory": lambda world: Conversation(pk=world.groups[0].pk).delete(),
    "delete of a last message": lambda world: first(world, Message).delete(),
    "raw delete": lambda world: Participant.objects.filter(conversation=world.groups[0])._raw_delete("default"),  # noqa: SLF001 - Django calls _raw_delete in cascades
    "fast_bulk_delete": lambda world: Participant.objects.fast_bulk_delete(list(world.groups[0].participants.all())),
    "mark_read": lambda world: Conversation.objects.mark_read(world.groups[0].pk),
    "pin": lambda world: Conversation.objects.pin(world.groups[0].pk),
    "increment_unread": lambda world: Conversation.objects.increment_unread(world.groups[0].pk),
    "manager's upsert": lambda world: Message.objects.upsert(world.groups[0], "new", from_me=True, timestamp=NOON),
    "manager's delete": lambda world: Message.objects.delete(first(world, Message).pk),
    "aupdate": lambda _: run(Contact.objects.aupdate(name="v")),
    "acreate": lambda world: run(Contact.objects.acreate(instance_id=world.mine.pk, jid="1@lid")),
    "adelete": lambda world: run(Message.objects.filter(instance=world.mine).adelete()),
}


def test_every_read_agrees_with_the_database_after_any_other_write() -> None:
    stale, unchanged = {}, set()
    for name, write in OTHER_WRITES.items():
        Instance.objects.all().delete()
        world = World()
        Conversation.objects.filter(pk=world.groups[0].pk).update(last_message=first(world, Message))
        found, has_changed = stale_reads(world, lambda world=world, write=write: write(world))  # type: ignore[misc]  # mypy cannot infer the type of a lambda's default
        if found:
            stale[name] = found
        if not has_changed:
            unchanged.add(name)
    assert stale == {}
    assert len(unchanged) < 5, unchanged
