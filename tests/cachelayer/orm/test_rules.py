"""Which tags a write touches: the project's table, and models of every make."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.models.signals import post_migrate
from django.test.utils import isolate_apps

from cachelayer import CachedModel, cache
from cachelayer.models import Outbox
from cachelayer.orm import rules, signals
from cachelayer.orm.registration import register
from cachelayer.orm.rules import InvalidationRule
from cachelayer.protocol.tags import Namespace, UnknownNamespace
from cachelayer.runtime.runtime import get_runtime, memory_store, runtime
from conversations.cache_policy import INVALIDATION_RULES, NAMESPACES
from conversations.models import Contact, Conversation, Instance, Message, Participant, WebhookEvent
from tests.cachelayer.conftest import reset_cache
from tests.conversations.rows import a_chat, a_contact, a_group, a_message, an_instance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]


def touched(write: Callable[[], object]) -> set[str]:
    """The tags that are held before the write is committed."""
    with transaction.atomic():
        write()
        return {tag for held in get_runtime().in_flight for tag in held.tags}


# --- the project's table ----------------------------------------------------------------------------------------------
class Scene:
    """One row of each model."""

    def __init__(self) -> None:
        self.instance = an_instance()
        self.group = a_group(self.instance)
        self.contact = a_contact(self.instance)
        self.chat = a_chat(self.instance, contact=self.contact)
        self.message = a_message(self.group)
        self.member = self.group.participants.create(contact=self.contact, clock="1")

    def tags_of(self, row: models.Model) -> set[str]:
        """What a write to a row touches, said once more."""
        pk, instance = row.pk, self.instance.pk
        by_model: dict[type[models.Model], set[str]] = {
            Instance: {f"instance:{pk}", f"instances:named:{self.instance.name_digest}", "instances:all"},
            Contact: {f"contact:{pk}", f"contacts:instance:{instance}", "contacts:all"},
            Conversation: {
                f"conversation:{pk}", f"messages:{pk}", f"conversations:instance:{instance}", "conversations:all",
            },
            Message: {f"message:{pk}", f"messages:{self.group.pk}", f"messages:instance:{instance}", "messages:all"},
            Participant: {f"conversations:participants:{self.group.pk}"},
        }  # fmt: skip
        return by_model[type(row)]

    def __iter__(self) -> Iterator[Any]:
        yield from (self.instance, self.contact, self.group, self.message, self.member)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_every_cached_model_has_a_rule_and_every_rule_a_model(scene: Scene) -> None:
    cache_runtime = {model for model in apps.get_models() if issubclass(model, CachedModel)}
    assert {rule.model for rule in INVALIDATION_RULES} == cache_runtime == {type(row) for row in scene}
    assert {rule.namespaces[0] for rule in INVALIDATION_RULES} == {*NAMESPACES}


def test_a_row_that_is_saved_touches_its_own_tags(scene: Scene) -> None:
    for row in scene:
        assert touched(row.save) == scene.tags_of(row)
        some = [field.name for field in row._meta.concrete_fields if not field.primary_key][:1]  # noqa: SLF001 - any
        assert touched(lambda row=row, some=some: row.save(update_fields=some)) == scene.tags_of(row)  # type: ignore[misc]


def test_a_row_that_is_born_touches_the_lists_it_will_be_in_and_what_knows_that_it_is_not_there(scene: Scene) -> None:
    instance = scene.instance
    births: dict[Callable[[], Any], set[str]] = {
        lambda: an_instance(name="Loja"): {
            f"instances:named:{Instance(name='Loja').name_digest}", "instances:all", "instances:new",
        },
        lambda: a_contact(instance): {f"contacts:instance:{instance.pk}", "contacts:all", "contacts:new"},
        lambda: a_group(instance): {
            f"conversations:instance:{instance.pk}", "conversations:all", "conversations:new",
        },
        lambda: a_message(scene.group): {
            f"messages:{scene.group.pk}", f"messages:instance:{instance.pk}", "messages:all", "messages:new",
        },
    }  # fmt: skip
    for birth, expected in births.items():
        assert touched(birth) == expected


def test_a_row_with_a_key_of_its_own_touches_its_own_tag_as_well() -> None:
    assert touched(lambda: an_instance(pk=77)) >= {"instance:77", "instances:all"}
    with pytest.raises(Instance.DoesNotExist):
        Instance.objects.fetch(78)
    born = an_instance(pk=78)
    assert Instance.objects.fetch(78) == born


def test_a_row_that_is_deleted_touches_its_own_tags(scene: Scene) -> None:
    for row in (scene.member, scene.message):
        expected = scene.tags_of(row)
        assert touched(row.delete) >= expected


def test_an_instance_that_is_deleted_touches_all_that_was_its_own(scene: Scene) -> None:
    expected = {*scene.tags_of(scene.instance), "contacts", "conversations", "messages"}
    assert touched(scene.instance.delete) == expected


def test_a_row_that_moves_touches_what_it_leaves_and_what_it_joins(scene: Scene) -> None:
    other = a_group(scene.instance)
    old = scene.tags_of(scene.message)
    scene.message.conversation = other
    assert touched(scene.message.save) == {*old, f"messages:{other.pk}"}
    old = scene.tags_of(scene.member)
    scene.member.conversation = other
    assert touched(scene.member.save) == {*old, f"conversations:participants:{other.pk}"}


def test_rows_that_are_not_known_touch_their_namespaces(scene: Scene) -> None:
    def change_all() -> None:
        Contact.objects.filter(name="x").update(name="y")
        scene.group.participants.update(is_present=False)

    assert touched(change_all) == {"contacts", "conversations"}
    assert touched(lambda: Conversation.objects.bulk_update([scene.group], ["name"])) == {"conversations", "messages"}


def test_new_rows_touch_their_own_lists_however_many_they_are() -> None:
    one, other = an_instance(), an_instance()

    def rows(number: int) -> list[Contact]:
        return [Contact(instance=(one, other)[i % 2], jid=f"{number}-{i}@lid") for i in range(number)]

    lists = {"contacts:new", "contacts:all", f"contacts:instance:{one.pk}", f"contacts:instance:{other.pk}"}
    assert touched(lambda: Contact.objects.bulk_create(rows(2))) == lists
    assert touched(lambda: Contact.objects.fast_bulk_create(rows(2500))) == lists
    assert touched(lambda: Contact.objects.bulk_create([])) == set()


def test_rows_that_are_saved_together_touch_exactly_their_own_tags_and_very_many_the_namespace(scene: Scene) -> None:
    a_contact(scene.instance)
    assert touched(lambda: Contact.objects.fast_bulk_update([scene.contact], ["name"])) == scene.tags_of(scene.contact)
    contacts = [Contact(pk=pk, instance=scene.instance) for pk in range(1000, 2999)]
    assert len(touched(lambda: Contact.objects.fast_bulk_update(contacts[1:], ["name"]))) == 2000
    assert touched(lambda: Contact.objects.fast_bulk_update(contacts, ["name"])) == {"contacts"}


def test_the_tags_of_rows_of_any_models(scene: Scene) -> None:
    rows = [*scene, Contact(instance=scene.instance), WebhookEvent(instance=scene.instance)]
    assert set(rules.tags_for(rows)) == set().union(*map(scene.tags_of, scene)) | {"contacts:new"}


# --- models of every make ---------------------------------------------------------------------------------------------
@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A cached model with a proxy, a child, labels from both sides, and the tables of all."""
    with isolate_apps("conversations") as isolated:

        class Label(models.Model):
            name = models.TextField()

            class Meta:
                app_label = "conversations"

        class Thing(CachedModel):
            name = models.TextField()
            labels = models.ManyToManyField(Label)
            friends = models.ManyToManyField("self")

            class Meta:
                app_label = "conversations"

        class Renamed(Thing):
            class Meta:
                app_label = "conversations"
                proxy = True

        class Special(Thing):
            age = models.IntegerField(default=0)

            class Meta:
                app_label = "conversations"

        for module, name in ((rules, "_rules"), (runtime.namespaces, "_by_word")):
            monkeypatch.setattr(module, name, getattr(module, name).copy())
        monkeypatch.setattr(signals, "apps", isolated)
        tables = (Label, Thing, Special)
        with connection.schema_editor() as editor:
            for model in tables:
                editor.create_model(model)
        things = Namespace("things", "thing", ttl=60, max_items=10)
        register([things], [InvalidationRule(Thing, ("thing:{pk}", "things:all"))])
        reset_cache()
        yield SimpleNamespace(Label=Label, Thing=Thing, Renamed=Renamed, Special=Special)
        signals.disconnect()
        with connection.schema_editor() as editor:
            for model in reversed(tables):
                editor.delete_model(model)


def name_of(make: SimpleNamespace, pk: int) -> str:
    make.Thing.objects.fetch(pk)
    return str(make.Thing.objects.fetch(pk).name)


def test_a_proxy_is_written_as_what_it_stands_for(make: SimpleNamespace) -> None:
    pk = make.Thing.objects.create(name="old").pk
    writes = {
        "save": lambda: make.Renamed(pk=pk, name="save").save(),
        "update": lambda: make.Renamed.objects.filter(pk=pk).update(name="update"),
        "create": lambda: make.Renamed.objects.update_or_create(pk=pk, defaults={"name": "create"}),
    }
    for name, write in writes.items():
        name_of(make, pk)
        assert touched(write) & {f"thing:{pk}", "things"}, name
        assert name_of(make, pk) == name
    make.Renamed.objects.get(pk=pk).delete()
    with pytest.raises(make.Thing.DoesNotExist):
        make.Thing.objects.fetch(pk)


def test_a_child_is_written_as_its_parent_too(make: SimpleNamespace) -> None:
    child = make.Special.objects.create(name="old", age=1)
    writes: dict[str, Callable[[], Any]] = {
        "save": lambda: make.Special(pk=child.pk, thing_ptr_id=child.pk, id=child.pk, name="save", age=2).save(),
        "update": lambda: make.Special.objects.filter(age=2).update(name="update"),
        "bulk_update": lambda: make.Special.objects.bulk_update(
            [make.Special(pk=child.pk, name="bulk_update")], ["name"]
        ),
    }
    for name, write in writes.items():
        name_of(make, child.pk)
        write()
        assert make.Thing.objects.get().name == name
        assert name_of(make, child.pk) == name, name
    make.Special.objects.all().delete()
    with pytest.raises(make.Thing.DoesNotExist):
        make.Thing.objects.fetch(child.pk)


RELATED: dict[str, Callable[[Any, Any], object]] = {
    "add": lambda thing, label: thing.labels.add(label),
    "remove": lambda thing, label: thing.labels.remove(label),
    "set": lambda thing, label: thing.labels.set([label]),
    "clear": lambda thing, _: thing.labels.clear(),
    "add from the other side": lambda thing, label: label.thing_set.add(thing),
    "remove from the other side": lambda thing, label: label.thing_set.remove(thing),
    "set from the other side": lambda thing, label: label.thing_set.set([thing]),
    "clear from the other side": lambda _, label: label.thing_set.clear(),
}


def test_many_to_many_relations(make: SimpleNamespace) -> None:
    thing, label = make.Thing.objects.create(name="a"), make.Label.objects.create(name="red")

    def labelled() -> list[int]:
        rows = make.Thing.objects.fetch_rows("things:all", lambda: make.Thing.objects.filter(labels=label))
        return [row.pk for row in rows]

    assert labelled() == []
    for name, write in RELATED.items():
        expected = [thing.pk] if name.startswith(("add", "set")) else []
        write(thing, label)
        assert labelled() == labelled() == expected, name
        assert not get_runtime().in_flight


def test_many_to_many_relations_of_rows_to_their_like_touch_both(make: SimpleNamespace) -> None:
    one, other = make.Thing.objects.create(name="a"), make.Thing.objects.create(name="b")
    assert touched(lambda: one.friends.add(other)) >= {f"thing:{one.pk}", "things:all", "things"}


# --- tables that are wrong --------------------------------------------------------------------------------------------
def test_a_tag_of_no_namespace_is_an_error_from_the_start() -> None:
    with pytest.raises(UnknownNamespace):
        _ = InvalidationRule(Instance, ("instance:{pk}", "nonsense:all")).namespace_tags


# --- touch ------------------------------------------------------------------------------------------------------------
def test_touch_holds_its_tags_until_the_commit(scene: Scene) -> None:
    tag = f"instance:{scene.instance.pk}"
    assert touched(lambda: cache.touch(tag, "messages")) == {tag, "messages"}
    assert not get_runtime().in_flight
    assert touched(cache.touch) == set()
    cache.touch(tag)
    cache.touch("*")
    assert not get_runtime().in_flight
    with pytest.raises(UnknownNamespace):
        cache.touch(tag, "nonsense:1")
    assert not get_runtime().in_flight


def test_what_was_touched_in_a_savepoint_that_is_rolled_back_is_let_go_with_the_transaction(scene: Scene) -> None:
    tag = f"instance:{scene.instance.pk}"
    with transaction.atomic():
        point = transaction.savepoint()
        cache.touch(tag)
        transaction.savepoint_rollback(point)
        assert Instance.objects.fetch(scene.instance.pk) == scene.instance
    assert not get_runtime().in_flight


# --- what is done to a database as a whole ----------------------------------------------------------------------------
def test_what_was_there_before_a_flush_is_gone_from_the_cache(scene: Scene) -> None:
    pk = scene.instance.pk
    Instance.objects.fetch(pk)
    call_command("flush", interactive=False, verbosity=0)
    with pytest.raises(Instance.DoesNotExist):
        Instance.objects.fetch(pk)
    assert not get_runtime().in_flight


def migrate() -> None:
    config = apps.get_app_config("cachelayer")
    post_migrate.send(config, app_config=config, verbosity=0, interactive=False, using="default", plan=[], apps=apps)


def test_what_a_migration_has_written_is_seen_when_it_ends(scene: Scene) -> None:
    """Its models are not ours, nor their managers."""
    pk = scene.instance.pk
    Instance.objects.fetch(pk)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_instance SET profile_name = 'migrated' WHERE id = %s", [pk])
    assert Instance.objects.fetch(pk).profile_name == ""
    migrate()
    assert Instance.objects.fetch(pk).profile_name == "migrated"


def test_a_migration_that_comes_before_our_tables_is_not_kept_from_ending() -> None:
    runtime.use_store(memory_store, bypasses_cache=True)
    with connection.schema_editor() as editor:
        editor.delete_model(Outbox)
    try:
        migrate()
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(Outbox)
