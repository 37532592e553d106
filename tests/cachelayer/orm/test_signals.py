"""Invalidation by Django signals: writes to proxy models, inherited models and many-to-many relations."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, models
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.test.utils import isolate_apps

from cachelayer import CachedModel
from cachelayer.orm import rules, signals
from cachelayer.orm.registration import register
from cachelayer.orm.rules import InvalidationRule
from cachelayer.protocol.tags import Namespace
from cachelayer.runtime.runtime import get_runtime, runtime
from tests.cachelayer.conftest import reset_cache
from tests.cachelayer.orm.test_rules import tags_of_write

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A registered cached model with a proxy model, a child model and many-to-many relations, and all their tables."""
    with isolate_apps("conversations") as isolated:

        class Label(models.Model):
            name = models.TextField()

            class Meta:
                app_label = "conversations"

        def default_label() -> Any:
            return Label._default_manager.get_or_create(name="default")[0]  # noqa: SLF001 - Django documents _default_manager

        class Thing(CachedModel):
            name = models.TextField()
            main = models.ForeignKey(Label, models.SET(default_label), null=True, related_name="+")
            labels = models.ManyToManyField(Label)
            friends = models.ManyToManyField("self")

            class Meta:
                app_label = "conversations"

        class Proxy(Thing):
            class Meta:
                app_label = "conversations"
                proxy = True

        class Child(Thing):
            age = models.IntegerField(default=0)

            class Meta:
                app_label = "conversations"

        for module, name in ((rules, "_rules"), (runtime.namespaces, "_by_prefix")):
            monkeypatch.setattr(module, name, getattr(module, name).copy())  # restored after the test
        for signal in (pre_save, post_save, pre_delete, post_delete, m2m_changed):
            monkeypatch.setattr(signal, "receivers", signal.receivers.copy())
        monkeypatch.setattr(signals, "apps", isolated)
        tables = (Label, Thing, Child)
        with connection.schema_editor() as editor:
            for model in tables:
                editor.create_model(model)
        things = Namespace("things", "thing", ttl=60, max_items=10)
        register([things], [InvalidationRule(Thing, ("thing:{pk}", "things:all"))])
        reset_cache()
        yield SimpleNamespace(Label=Label, Thing=Thing, Proxy=Proxy, Child=Child)
        with connection.schema_editor() as editor:
            for model in reversed(tables):
                editor.delete_model(model)


def name_of(registered: SimpleNamespace, pk: int) -> str:
    """Fetch a row twice, and return the name from the second fetch, which a cached row can answer."""
    registered.Thing.objects.fetch(pk)
    return str(registered.Thing.objects.fetch(pk).name)


def test_a_write_to_a_proxy_invalidates_its_concrete_model(registered: SimpleNamespace) -> None:
    pk = registered.Thing.objects.create(name="old").pk
    proxies = registered.Proxy.objects
    writes = {
        "save": lambda: registered.Proxy(pk=pk, name="save").save(),
        "update": lambda: proxies.filter(pk=pk).update(name="update"),
        "create": lambda: proxies.update_or_create(pk=pk, defaults={"name": "create"}),
    }
    for name, write in writes.items():
        name_of(registered, pk)
        assert tags_of_write(write) & {f"thing:{pk}", "things"}, name
        assert name_of(registered, pk) == name
    proxies.get(pk=pk).delete()
    with pytest.raises(registered.Thing.DoesNotExist):
        registered.Thing.objects.fetch(pk)


def test_a_write_to_a_child_model_invalidates_its_parent(registered: SimpleNamespace) -> None:
    children = registered.Child.objects
    pk = children.create(name="old", age=1).pk
    writes: dict[str, Callable[[], Any]] = {
        "save": lambda: registered.Child(pk=pk, thing_ptr_id=pk, id=pk, name="save", age=2).save(),
        "update": lambda: children.filter(age=2).update(name="update"),
        "bulk_update": lambda: children.bulk_update([registered.Child(pk=pk, name="bulk_update")], ["name"]),
    }
    for name, write in writes.items():
        name_of(registered, pk)
        write()
        assert registered.Thing.objects.get().name == name
        assert name_of(registered, pk) == name, name
    children.all().delete()
    with pytest.raises(registered.Thing.DoesNotExist):
        registered.Thing.objects.fetch(pk)


def test_a_deletion_that_sets_a_foreign_key_by_a_function_invalidates(registered: SimpleNamespace) -> None:
    """Django updates such rows by SQL of its own, not by a queryset."""
    label = registered.Label.objects.create(name="red")
    pk = registered.Thing.objects.create(name="a", main=label).pk
    registered.Thing.objects.fetch(pk)
    assert registered.Thing.objects.fetch(pk).main_id == label.pk
    label.delete()
    assert registered.Thing.objects.fetch(pk).main_id == registered.Label.objects.get(name="default").pk


RELATION_WRITES: dict[str, Callable[[Any, Any], object]] = {
    "add": lambda thing, label: thing.labels.add(label),
    "remove": lambda thing, label: thing.labels.remove(label),
    "set": lambda thing, label: thing.labels.set([label]),
    "clear": lambda thing, _: thing.labels.clear(),
    "add from the other side": lambda thing, label: label.thing_set.add(thing),
    "remove from the other side": lambda thing, label: label.thing_set.remove(thing),
    "set from the other side": lambda thing, label: label.thing_set.set([thing]),
    "clear from the other side": lambda _, label: label.thing_set.clear(),
}


def test_a_change_of_a_many_to_many_relation_invalidates_lists(registered: SimpleNamespace) -> None:
    things = registered.Thing.objects
    thing, label = things.create(name="a"), registered.Label.objects.create(name="red")

    def labelled() -> list[int]:
        return [row.pk for row in things.fetch_rows("things:all", lambda: things.filter(labels=label))]

    assert labelled() == []
    for name, write in RELATION_WRITES.items():
        expected = [thing.pk] if name.startswith(("add", "set")) else []
        write(thing, label)
        assert labelled() == labelled() == expected, name
        assert not get_runtime().in_flight


def test_a_many_to_many_relation_of_a_model_to_itself_invalidates_both_rows(registered: SimpleNamespace) -> None:
    one, other = registered.Thing.objects.create(name="a"), registered.Thing.objects.create(name="b")
    assert tags_of_write(lambda: one.friends.add(other)) >= {f"thing:{one.pk}", "things:all", "things"}
