"""Rows as payloads and back: what comes out is what Django would have loaded, and nobody else's."""

import copy
import datetime as dt
import json
import pickle
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any, cast

import pytest
from django.apps import apps
from django.core.files.base import ContentFile
from django.db import connection, models
from django.db.models import Field, Model
from django.db.models.fields.files import FieldFile
from django.db.models.signals import post_init, pre_init
from django.test.utils import CaptureQueriesContext, isolate_apps
from hypothesis import example, given
from hypothesis import strategies as st

from cachelayer import CachedModel, Page
from cachelayer.protocol.codec import DecodeError, decode, encode
from cachelayer.read.serializers import MEMO_KEY_BYTES, PageSerializer, RowSerializer, ValueSerializer, copy_factory
from conversations.models import Contact, Instance, Message
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance

JSON = {"é": [1, 2.5, None, True, {"deep": [[], {}, "x"]}], "": {"n": 2**70}}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def shape_of(model: type[Model]) -> RowSerializer[Any]:
    return RowSerializer(model, "default")


def loaded(model: type[Any], **known: Any) -> Any:
    """A row as if from the database, null where nothing is said."""
    names = [field.attname for field in model._meta.concrete_fields]  # noqa: SLF001 - Django's documented way
    return model.from_db("default", names, [known.get(name) for name in names])


def thawed(row: Any) -> Any:
    """The row, by way of a payload."""
    shape = shape_of(type(row))
    return shape.loader(shape.dumps(row))()


def insides(row: Any) -> dict[str, Any]:
    """All that a row is, with the type of each value."""
    known = {name: (type(value), value) for name, value in vars(row).items() if name != "_state"}
    return {**known, "_state": {"fields_cache": {}, **vars(row._state)}}  # noqa: SLF001 - which is made when it is needed


# --- every model of the project ---------------------------------------------------------------------------------------
VALUES: dict[str, Any] = {
    "CharField": "Zoë 👍",
    "TextField": "a\nb" * 100,
    "JSONField": JSON,
    "BooleanField": True,
    "IntegerField": -7,
    "SmallIntegerField": 3,
    "PositiveIntegerField": 7,
    "PositiveSmallIntegerField": 5,
    "BigIntegerField": 2**62,
    "DateTimeField": NOON + dt.timedelta(microseconds=123_456),
}


def a_row_of(model: type[Model]) -> Model:
    """A row with something in every field."""
    chat = a_group(an_instance(name=VALUES["CharField"]))  # which it keeps
    sources = (a_message(chat, sender=a_contact(chat.instance)), chat, a_chat(chat.instance).contact, chat.instance)
    row = next((one for one in sources if type(one) is model), None) or model()
    for field in cast("list[Field[Any, Any]]", model._meta.concrete_fields):  # noqa: SLF001 - Django's documented way
        if field.is_relation:
            if getattr(row, field.attname) is None and not field.null:
                setattr(row, field.name, next(one for one in sources if type(one) is field.related_model))
        elif field.choices:
            setattr(row, field.attname, getattr(row, field.attname) or field.choices[0][0])
        elif not field.primary_key:
            setattr(row, field.attname, VALUES[field.get_internal_type()])
    row.save()
    return row


def of_the_project() -> list[type[Model]]:
    return [model for app in ("conversations", "cachelayer") for model in apps.get_app_config(app).get_models()]


@pytest.mark.django_db
@pytest.mark.parametrize("model", of_the_project(), ids=lambda model: model.__name__)
def test_a_row_is_what_django_loads(model: type[Model]) -> None:
    expected = model._default_manager.get(pk=a_row_of(model).pk)  # noqa: SLF001 - Django's documented way to it
    row = thawed(expected)
    assert row == expected
    assert type(row) is model
    assert insides(row) == insides(expected)
    assert not row.get_deferred_fields()
    assert hash(row) == hash(expected)


@pytest.mark.django_db
def test_a_row_is_saved_as_one_that_is_there() -> None:
    a_contact(an_instance())
    row = thawed(Contact.objects.get())
    row.name = "new"
    with CaptureQueriesContext(connection) as queries:
        row.save()
    assert [query["sql"].split()[0] for query in queries if query["sql"].startswith(("UPDATE", "INSERT"))] == ["UPDATE"]
    row.refresh_from_db()
    assert row.name == "new"
    row.delete()
    assert not Contact.objects.exists()


@pytest.mark.django_db
def test_a_row_leads_to_its_relations_and_keeps_them_to_itself() -> None:
    a_message(a_group(an_instance()))
    message, shape = Message.objects.get(), shape_of(Message)
    thaw = shape.loader(shape.dumps(message))
    one, other = thaw(), thaw()
    assert one.conversation == message.conversation
    assert Message.conversation.is_cached(one)
    assert not Message.conversation.is_cached(other)


@pytest.mark.django_db
@pytest.mark.parametrize("made_again", [copy.copy, copy.deepcopy, lambda row: pickle.loads(pickle.dumps(row))])  # noqa: S301 - our own
def test_a_row_is_copied_and_pickled_as_djangos(made_again: Any) -> None:
    a_message(a_group(an_instance()), details=JSON)
    row = thawed(Message.objects.get())
    again = made_again(row)
    again.text = "another"
    again._state.adding = True  # noqa: SLF001 - Django's documented way to make a copy
    assert insides(row) == insides(Message.objects.get())


def test_a_row_with_deferred_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="deferred"):
        shape_of(Instance).dumps(Instance.from_db("default", ["id"], [1]))


# --- no two callers share anything ------------------------------------------------------------------------------------
def spoil(value: Any) -> None:
    """Change everything that can be changed in place."""
    for inside in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        spoil(inside)
    if isinstance(value, dict):
        value.clear()
        value["spoilt"] = True
    elif isinstance(value, list):
        value.append("spoilt")


@given(json_values)
@example([[1], [1]])
@example({"a": {"b": {"c": []}}})
def test_what_is_done_to_a_copy_stays_there(value: Any) -> None:
    kept = copy.deepcopy(value)
    shape = ValueSerializer()
    thaw = shape.loader(shape.dumps(value))
    spoil(thaw())
    assert thaw() == kept


@given(json_values)
def test_what_is_done_to_a_row_stays_there(value: Any) -> None:
    shape = shape_of(Message)
    thaw = shape.loader(shape.dumps(loaded(Message, id=1, text="", media=value, details=value)))
    row = thaw()
    spoil(row.media)
    row.text = "spoilt"
    row._state.adding = True  # noqa: SLF001 - as anybody can
    again = thaw()
    assert (again.media, again.details, again.text, again._state.adding) == (value, value, "", False)  # noqa: SLF001


def test_what_holds_nothing_that_can_be_changed_is_not_copied() -> None:
    for value in (1, "a", None, (), (1, (2, "x")), frozenset([1])):
        copied = copy_factory(value)
        assert copied is None or copied() == value
    assert copy_factory((1, "a")) is None


def test_a_very_deep_value_is_copied() -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    shape = ValueSerializer()
    thaw = shape.loader(shape.dumps(deep))
    assert encode(thaw()) == encode(thaw()) == encode(deep)
    assert thaw() is not thaw()


# --- models that do something of their own ----------------------------------------------------------------------------
def a_class(bases: tuple[type[Model], ...] = (CachedModel,), **body: Any) -> type[Any]:
    meta = type("Meta", (), {"app_label": "conversations"})
    name = "Thing" if bases == (CachedModel,) else "Special"
    return type(name, bases, {"__module__": __name__, "Meta": meta, **body})


@contextmanager
def a_model(**body: Any) -> Iterator[type[Any]]:
    """A model of these fields and methods, for as long as the block lasts."""
    with isolate_apps("conversations"):
        yield a_class(**body)


def test_an_init_of_its_own_runs() -> None:
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        super(type(self), self).__init__(*args, **kwargs)
        self.original = self.name

    with a_model(name=models.TextField(), __init__=init) as thing:
        row = thawed(thing(pk=1, name="a"))
        assert (row.pk, row.name, row.original, row._state.db) == (1, "a", "a", "default")  # noqa: SLF001 - as it says


def test_a_from_db_of_its_own_runs() -> None:
    @classmethod  # type: ignore[misc]  # it is a method in a moment
    def from_db(cls: Any, db: str, names: Any, values: Any) -> Any:
        row = super(cls, cls).from_db(db, names, values)
        row.loaded = dict(zip(names, values, strict=True))
        return row

    with a_model(name=models.TextField(), from_db=from_db) as thing:
        row = thawed(thing(pk=1, name="a"))
        assert row.loaded == {"id": 1, "name": "a"}


def test_a_setattr_of_its_own_runs() -> None:
    def set_attribute(self: Any, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        self.__dict__.setdefault("seen", []).append(name)

    with a_model(name=models.TextField(), __setattr__=set_attribute) as thing:
        assert "name" in thawed(thing(pk=1, name="a")).seen


@pytest.mark.parametrize("signal", [pre_init, post_init])
def test_receivers_of_djangos_signals_run_from_when_they_are_there_to_when_they_are_not(signal: Any) -> None:
    seen = []

    def receive(sender: Any, **_signal: Any) -> None:
        seen.append(sender)

    shape = shape_of(Instance)
    thaw = shape.loader(shape.dumps(loaded(Instance, id=1, labels={"a": [1]})))
    signal.connect(receive, sender=Instance)
    try:
        row = thaw()
        row.labels["a"].append(2)
        assert thaw().labels == {"a": [1]}
    finally:
        signal.disconnect(receive, sender=Instance)
    thaw()
    assert seen == [Instance, Instance]
    assert row == Instance(pk=1)


def test_a_receiver_for_another_model_is_not_asked() -> None:
    shape = shape_of(Instance)
    thaw = shape.loader(shape.dumps(loaded(Instance, id=1)))
    post_init.connect(pytest.fail, sender=Contact, weak=False)
    try:
        assert thaw() == Instance(pk=1)
    finally:
        post_init.disconnect(pytest.fail, sender=Contact)


class TextList(models.TextField):  # type: ignore[type-arg] # Django's class takes no argument at run time
    """A list, kept as a text."""

    def from_db_value(self, value: str, *_: Any) -> Any:
        return json.loads(value)


def test_a_field_of_its_own_whose_values_can_be_changed() -> None:
    with a_model(words=TextList()) as thing:
        shape = shape_of(thing)
        thaw = shape.loader(shape.dumps(thing(pk=1, words=["a"])))
        thaw().words.append("b")
        assert thaw().words == ["a"]


class Doubling(models.query_utils.DeferredAttribute):
    """Keeps the double of what is set."""

    def __set__(self, row: Any, value: Any) -> None:
        row.__dict__[self.field.attname] = value
        row.doubled = value * 2


class DoubledField(models.IntegerField):  # type: ignore[type-arg] # likewise
    descriptor_class = Doubling


def test_a_descriptor_of_its_own_is_asked() -> None:
    with a_model(number=DoubledField()) as thing:
        assert thawed(thing(pk=1, number=4)).doubled == 8


def test_a_file_is_kept_by_its_name() -> None:
    with a_model(file=models.FileField(), size=models.IntegerField(default=1)) as thing:
        shape = shape_of(thing)
        thaw = shape.loader(shape.dumps(loaded(thing, id=1, file="a/b.txt", size=2)))
        one, other = thaw(), thaw()
        assert isinstance(one.file, FieldFile)
        assert (one.file.name, one.file.instance) == ("a/b.txt", one)
        one.file = ContentFile(b"", name="other.txt")
        assert other.file.name == thaw().file.name == "a/b.txt"


def test_keys_and_columns_of_every_kind() -> None:
    with a_model(
        key=models.UUIDField(primary_key=True),
        price=models.DecimalField(max_digits=9, decimal_places=2),
        day=models.DateField(),
        hour=models.TimeField(),
        length=models.DurationField(),
        data=models.BinaryField(),
        ratio=models.FloatField(),
    ) as thing:
        row = thing(
            uuid.uuid4(), Decimal("1.50"), dt.date(2026, 3, 1), dt.time(1, 2, 3, 4), dt.timedelta(-1, 2), b"\0", 0.1
        )
        again = thawed(row)
        assert row.__reduce__()[2].keys() == again.__reduce__()[2].keys()
        assert shape_of(thing).values(row) == shape_of(thing).values(again)
        assert again.pk == row.pk


def test_a_row_of_one_column() -> None:
    with a_model() as thing:
        assert thawed(thing(pk=5)).pk == 5


def test_a_row_of_two_tables() -> None:
    with isolate_apps("conversations"):
        parent = a_class(name=models.TextField())
        child = a_class(bases=(parent,), age=models.IntegerField())
        row = thawed(loaded(child, id=1, thing_ptr_id=1, name="a", age=2))
        assert (row.pk, row.name, row.age) == (1, "a", 2)


# --- schemas ----------------------------------------------------------------------------------------------------------
def fingerprint(**fields: Any) -> str:
    with a_model(**fields) as thing:
        return shape_of(thing).fingerprint


def test_another_schema_has_another_fingerprint() -> None:
    same = {"name": models.TextField(), "age": models.IntegerField()}
    others: list[dict[str, Any]] = [
        {"name": models.TextField()},
        {"name": models.TextField(), "age": models.IntegerField(), "new": models.IntegerField()},
        {"name": models.TextField(), "years": models.IntegerField()},
        {"name": models.TextField(), "age": models.TextField()},
        {"name": models.TextField(), "age": models.IntegerField(null=True)},
        {"age": models.IntegerField(), "name": models.TextField()},
        {"name": TextList(), "age": models.IntegerField()},
    ]
    prints = [fingerprint(**copy.deepcopy(fields)) for fields in (same, same, *others)]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 1 + len(others)


# --- what is none of ours ---------------------------------------------------------------------------------------------
shapes = st.sampled_from([ValueSerializer(), shape_of(Message), PageSerializer(shape_of(Instance))])
fields = len(Instance._meta.concrete_fields)  # noqa: SLF001 - Django's documented way
anything = st.recursive(
    st.none() | st.integers() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, min_size=fields, max_size=fields),
    max_leaves=60,
)


@given(shapes, st.binary(max_size=60) | anything.map(encode))
@example(PageSerializer(shape_of(Instance)), encode(["", "", [encode([None] * fields)]]))
@example(PageSerializer(shape_of(Instance)), encode(["", "", [[None] * fields]]))
@example(PageSerializer(shape_of(Instance)), encode(["", "", []]))
@example(PageSerializer(shape_of(Instance)), encode(["", "", [7]]))
@example(PageSerializer(shape_of(Instance)), encode(["", "", None]))
def test_a_payload_is_of_that_shape_or_garbage(shape: Any, payload: bytes) -> None:
    with suppress(DecodeError):
        shape.loader(payload)()


def test_a_payload_that_is_deeper_than_ours_can_be_is_garbage() -> None:
    deepest = b"\x91" * 1023 + b"\x90"
    decode(deepest)
    with pytest.raises(DecodeError):
        ValueSerializer().loader(b"\x91" + deepest)


def test_a_page_keeps_its_cursors_and_its_order() -> None:
    shape = PageSerializer(shape_of(Instance))
    page = Page([loaded(Instance, id=2), loaded(Instance, id=1)], "next", "")
    thaw = shape.loader(shape.dumps(page))
    assert thaw() == page
    thaw().rows.clear()
    assert thaw() == page


def test_pages_that_begin_alike_are_told_apart() -> None:
    shape = PageSerializer(shape_of(Instance))
    first = loaded(Instance, id=2, name="a" * MEMO_KEY_BYTES)
    pages = [Page([first, loaded(Instance, id=number)], "next", "") for number in (1, 3, 1)]
    payloads = [shape.dumps(page) for page in pages]
    assert len({payload[:MEMO_KEY_BYTES] for payload in payloads}) == 1
    assert [shape.loader(payload)() for payload in payloads] == pages


def test_of_a_page_that_is_remembered_each_copy_is_its_own() -> None:
    shape = PageSerializer(shape_of(Instance))
    payload = shape.dumps(Page([loaded(Instance, id=1)], "next", ""))
    for _ in range(2):
        page = shape.loader(payload)()
        assert [row.pk for row in page.rows] == [1]
        page.rows[0].pk = 7
        page.rows.clear()


def test_no_more_pages_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cachelayer.read.serializers.MAX_PAGES", 2)
    shape = PageSerializer(shape_of(Instance))
    pages = [Page([loaded(Instance, id=number)], str(number), "") for number in range(5)]
    assert [shape.loader(shape.dumps(page))() for page in pages * 2] == pages * 2
