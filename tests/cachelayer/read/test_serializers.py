"""Serializers of cached values: each read gets its own copy, and a row equals the row that Django would load."""

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
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connection, models
from django.db.models import AutoField, Field, Model
from django.db.models.fields.files import FieldFile
from django.db.models.signals import post_init, pre_init
from django.test.utils import CaptureQueriesContext, isolate_apps
from hypothesis import example, given
from hypothesis import strategies as st

from cachelayer import CachedModel, Page
from cachelayer.orm.rules import REMEMBERED
from cachelayer.protocol.codec import DecodeError, decode, encode
from cachelayer.read.serializers import MEMO_KEY_BYTES, PageSerializer, RowSerializer, ValueSerializer, copy_factory
from conversations.models import Alarm, Contact, Instance, Message, WebhookSubscription
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance

JSON = {"é": [1, 2.5, None, True, {"deep": [[], {}, "x"]}], "": {"n": 2**70}}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def serializer_for(model: type[Model]) -> RowSerializer[Any]:
    return RowSerializer(model, "default")


def loaded(model: type[Any], **values: Any) -> Any:
    """Return a row as if Django had loaded the row from the database; columns without a value are null."""
    names = [field.attname for field in model._meta.concrete_fields]  # noqa: SLF001 - Django documents the attribute _meta
    return model.from_db("default", names, [values.get(name) for name in names])


def copy_of(row: Any) -> Any:
    """Serialize a row, and return the row that is made from the serialized bytes."""
    serializer = serializer_for(type(row))
    return serializer.loader(serializer.dumps(row))()


def attributes(row: Any) -> dict[str, Any]:
    """Return all attributes of a row with their types, and all attributes of its `_state`, for comparison.

    The attribute in which a row remembers its tags is left out, because only registered managers add it.
    """
    values = {name: (type(value), value) for name, value in vars(row).items() if name not in ("_state", REMEMBERED)}
    return {**values, "_state": {"fields_cache": {}, **vars(row._state)}}  # noqa: SLF001 - Django documents the attribute _state


# --- every model of the project ---------------------------------------------------------------------------------------
VALUES: dict[str, Any] = {
    "CharField": "Zoë 👍",
    "TextField": "a\nb" * 100,
    "JSONField": JSON,
    "BooleanField": True,
    "FloatField": 0.5,
    "IntegerField": -7,
    "SmallIntegerField": 3,
    "PositiveIntegerField": 7,
    "PositiveSmallIntegerField": 5,
    "BigIntegerField": 2**62,
    "UUIDField": uuid.UUID(int=7),
    "DateTimeField": NOON + dt.timedelta(microseconds=123_456),
}


def make_row(model: type[Model]) -> Model:
    """Save and return a row with a value in every field."""
    chat = a_group(an_instance(name=VALUES["CharField"]))
    user = User.objects.create_user("ana")
    contact = a_chat(chat.instance).contact
    sources = (
        a_message(chat, sender=a_contact(chat.instance)),
        chat,
        contact,
        chat.instance,
        user,
        Alarm.objects.create(kind="x"),
        WebhookSubscription.objects.create(user=user, url="https://crm.example/"),
    )
    row = next((source for source in sources if type(source) is model), None) or model()
    for field in cast("list[Field[Any, Any]]", model._meta.concrete_fields):  # noqa: SLF001 - Django documents the attribute _meta
        if field.is_relation:
            if getattr(row, field.attname) is None and not field.null:
                setattr(row, field.name, next(source for source in sources if type(source) is field.related_model))
        elif field.choices:
            setattr(row, field.attname, getattr(row, field.attname) or field.choices[0][0])
        elif not isinstance(field, AutoField):
            setattr(row, field.attname, VALUES[field.get_internal_type()])
    row.save()
    return row


def project_models() -> list[type[Model]]:
    return [model for app in ("conversations", "cachelayer") for model in apps.get_app_config(app).get_models()]


@pytest.mark.django_db
@pytest.mark.parametrize("model", project_models(), ids=lambda model: model.__name__)
def test_a_row_equals_the_one_that_django_loads(model: type[Model]) -> None:
    expected = model._default_manager.get(pk=make_row(model).pk)  # noqa: SLF001 - Django documents the attribute _default_manager
    row = copy_of(expected)
    assert row == expected
    assert type(row) is model
    assert attributes(row) == attributes(expected)
    assert not row.get_deferred_fields()
    assert hash(row) == hash(expected)


@pytest.mark.django_db
def test_saving_a_row_updates_it() -> None:
    a_contact(an_instance())
    row = copy_of(Contact.objects.get())
    row.name = "new"
    with CaptureQueriesContext(connection) as queries:
        row.save()
    assert [query["sql"].split()[0] for query in queries if query["sql"].startswith(("UPDATE", "INSERT"))] == ["UPDATE"]
    row.refresh_from_db()
    assert row.name == "new"
    row.delete()
    assert not Contact.objects.exists()


@pytest.mark.django_db
def test_related_rows_are_loaded_for_one_copy_only() -> None:
    a_message(a_group(an_instance()))
    message, serializer = Message.objects.get(), serializer_for(Message)
    make = serializer.loader(serializer.dumps(message))
    one, other = make(), make()
    assert one.conversation == message.conversation
    assert Message.conversation.is_cached(one)
    assert not Message.conversation.is_cached(other)


@pytest.mark.django_db
@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy, lambda row: pickle.loads(pickle.dumps(row))])  # noqa: S301 - the pickled data was made in the same line
def test_a_row_can_be_copied_and_pickled(make_copy: Any) -> None:
    a_message(a_group(an_instance()), details=JSON)
    row = copy_of(Message.objects.get())
    again = make_copy(row)
    again.text = "another"
    again._state.adding = True  # noqa: SLF001 - Django documents setting _state.adding to copy a row
    assert attributes(row) == attributes(Message.objects.get())


def test_a_row_with_deferred_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="deferred"):
        serializer_for(Instance).dumps(Instance.from_db("default", ["id"], [1]))


# --- callers share no values ------------------------------------------------------------------------------------------
def mutate(value: Any) -> None:
    """Change every mutable object inside a value."""
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        mutate(item)
    if isinstance(value, dict):
        value.clear()
        value["mutated"] = True
    elif isinstance(value, list):
        value.append("mutated")


@given(json_values)
@example([[1], [1]])
@example({"a": {"b": {"c": []}}})
def test_mutating_a_copy_of_a_value_does_not_change_other_copies(value: Any) -> None:
    expected = copy.deepcopy(value)
    serializer = ValueSerializer()
    make = serializer.loader(serializer.dumps(value))
    mutate(make())
    assert make() == expected


@given(json_values)
def test_mutating_a_row_does_not_change_other_copies(value: Any) -> None:
    serializer = serializer_for(Message)
    make = serializer.loader(serializer.dumps(loaded(Message, id=1, text="", media=value, details=value)))
    row = make()
    mutate(row.media)
    row.text = "mutated"
    row._state.adding = True  # noqa: SLF001 - callers may change _state.adding
    again = make()
    assert (again.media, again.details, again.text, again._state.adding) == (value, value, "", False)  # noqa: SLF001 - callers may read _state.adding


def test_immutable_values_are_not_copied() -> None:
    for value in (1, "a", None, (), (1, (2, "x")), frozenset([1])):
        factory = copy_factory(value)
        assert factory is None or factory() == value
    assert copy_factory((1, "a")) is None


@pytest.mark.parametrize("value", [[(1, "a"), (2, "b")], {"a": (1,)}, [(), frozenset()], {"a": [(1, 2)]}])
def test_a_container_of_immutable_containers_is_copied(value: Any) -> None:
    serializer = ValueSerializer()
    make = serializer.loader(serializer.dumps(value))
    assert make() == make() == value
    assert make() is not make()


def test_a_deeply_nested_value_is_copied() -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    serializer = ValueSerializer()
    make = serializer.loader(serializer.dumps(deep))
    assert encode(make()) == encode(make()) == encode(deep)
    assert make() is not make()


# --- models with custom behaviour -------------------------------------------------------------------------------------
def make_class(bases: tuple[type[Model], ...] = (CachedModel,), **body: Any) -> type[Any]:
    meta = type("Meta", (), {"app_label": "conversations"})
    name = "Thing" if bases == (CachedModel,) else "Special"
    return type(name, bases, {"__module__": __name__, "Meta": meta, **body})


@contextmanager
def temporary_model(**body: Any) -> Iterator[type[Any]]:
    """Define a model with the given fields and methods; the model exists until the `with` block ends."""
    with isolate_apps("conversations"):
        yield make_class(**body)


def test_a_custom_init_runs() -> None:
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        super(type(self), self).__init__(*args, **kwargs)
        self.original = self.name

    with temporary_model(name=models.TextField(), __init__=init) as thing:
        row = copy_of(thing(pk=1, name="a"))
        assert (row.pk, row.name, row.original, row._state.db) == (1, "a", "a", "default")  # noqa: SLF001 - Django documents the attribute _state


def test_a_custom_from_db_runs() -> None:
    @classmethod  # type: ignore[misc]  # the function becomes a method of the model
    def from_db(cls: Any, db: str, names: Any, values: Any) -> Any:
        row = super(cls, cls).from_db(db, names, values)
        row.loaded = dict(zip(names, values, strict=True))
        return row

    with temporary_model(name=models.TextField(), from_db=from_db) as thing:
        row = copy_of(thing(pk=1, name="a"))
        assert row.loaded == {"id": 1, "name": "a"}


def test_a_custom_setattr_runs() -> None:
    def set_attribute(self: Any, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        self.__dict__.setdefault("set_names", []).append(name)

    with temporary_model(name=models.TextField(), __setattr__=set_attribute) as thing:
        assert "name" in copy_of(thing(pk=1, name="a")).set_names


@pytest.mark.parametrize("signal", [pre_init, post_init])
def test_init_signals_are_sent_while_a_receiver_is_connected(signal: Any) -> None:
    senders = []

    def receive(sender: Any, **_signal: Any) -> None:
        senders.append(sender)

    serializer = serializer_for(Instance)
    make = serializer.loader(serializer.dumps(loaded(Instance, id=1, labels={"a": [1]})))
    signal.connect(receive, sender=Instance)
    try:
        row = make()
        row.labels["a"].append(2)
        assert make().labels == {"a": [1]}
    finally:
        signal.disconnect(receive, sender=Instance)
    make()
    assert senders == [Instance, Instance]
    assert row == Instance(pk=1)


def test_init_signals_of_another_model_are_not_sent() -> None:
    serializer = serializer_for(Instance)
    make = serializer.loader(serializer.dumps(loaded(Instance, id=1)))
    post_init.connect(pytest.fail, sender=Contact, weak=False)
    try:
        assert make() == Instance(pk=1)
    finally:
        post_init.disconnect(pytest.fail, sender=Contact)


class TextList(models.TextField):  # type: ignore[type-arg] # Django's field classes take no type argument at run time
    """A model field whose value is a list, which the database stores as JSON text."""

    def from_db_value(self, value: str, *_: Any) -> Any:
        return json.loads(value)


def test_mutable_values_of_a_custom_field_are_copied() -> None:
    with temporary_model(words=TextList()) as thing:
        serializer = serializer_for(thing)
        make = serializer.loader(serializer.dumps(thing(pk=1, words=["a"])))
        make().words.append("b")
        assert make().words == ["a"]


class Doubling(models.query_utils.DeferredAttribute):
    """A field descriptor that also stores twice the value in a second attribute of the row."""

    def __set__(self, row: Any, value: Any) -> None:
        row.__dict__[self.field.attname] = value
        row.doubled = value * 2


class DoubledField(models.IntegerField):  # type: ignore[type-arg] # Django's field classes take no type argument at run time
    descriptor_class = Doubling


def test_a_custom_descriptor_is_called() -> None:
    with temporary_model(number=DoubledField()) as thing:
        assert copy_of(thing(pk=1, number=4)).doubled == 8


def test_a_file_is_serialized_as_its_name() -> None:
    with temporary_model(file=models.FileField(), size=models.IntegerField(default=1)) as thing:
        serializer = serializer_for(thing)
        make = serializer.loader(serializer.dumps(loaded(thing, id=1, file="a/b.txt", size=2)))
        one, other = make(), make()
        assert isinstance(one.file, FieldFile)
        assert (one.file.name, one.file.instance) == ("a/b.txt", one)
        one.file = ContentFile(b"", name="other.txt")
        assert other.file.name == make().file.name == "a/b.txt"


def test_other_types_of_keys_and_columns() -> None:
    with temporary_model(
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
        again = copy_of(row)
        assert row.__reduce__()[2].keys() == again.__reduce__()[2].keys()
        assert serializer_for(thing).values(row) == serializer_for(thing).values(again)
        assert again.pk == row.pk


def test_a_model_with_one_column() -> None:
    with temporary_model() as thing:
        assert copy_of(thing(pk=5)).pk == 5


def test_a_model_with_two_tables() -> None:
    with isolate_apps("conversations"):
        parent = make_class(name=models.TextField())
        child = make_class(bases=(parent,), age=models.IntegerField())
        row = copy_of(loaded(child, id=1, thing_ptr_id=1, name="a", age=2))
        assert (row.pk, row.name, row.age) == (1, "a", 2)


# --- schemas ----------------------------------------------------------------------------------------------------------
def fingerprint(**fields: Any) -> str:
    with temporary_model(**fields) as thing:
        return serializer_for(thing).fingerprint


def test_the_fingerprint_changes_with_the_schema() -> None:
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
    fingerprints = [fingerprint(**copy.deepcopy(fields)) for fields in (same, same, *others)]
    assert fingerprints[0] == fingerprints[1]
    assert len(set(fingerprints)) == 1 + len(others)


# --- malformed payloads -----------------------------------------------------------------------------------------------
serializers = st.sampled_from([ValueSerializer(), serializer_for(Message), PageSerializer(serializer_for(Instance))])
field_count = len(Instance._meta.concrete_fields)  # noqa: SLF001 - Django documents the attribute _meta
anything = st.recursive(
    st.none() | st.integers() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, min_size=field_count, max_size=field_count),
    max_leaves=60,
)


@given(serializers, st.binary(max_size=60) | anything.map(encode))
@example(PageSerializer(serializer_for(Instance)), encode(["", "", [encode([None] * field_count)]]))
@example(PageSerializer(serializer_for(Instance)), encode(["", "", [[None] * field_count]]))
@example(PageSerializer(serializer_for(Instance)), encode(["", "", []]))
@example(PageSerializer(serializer_for(Instance)), encode(["", "", [7]]))
@example(PageSerializer(serializer_for(Instance)), encode(["", "", None]))
def test_any_payload_can_be_decoded_or_is_an_error(serializer: Any, payload: bytes) -> None:
    with suppress(DecodeError):
        serializer.loader(payload)()


def test_a_payload_that_is_nested_too_deeply_is_an_error() -> None:
    deepest = b"\x91" * 1023 + b"\x90"
    decode(deepest)
    with pytest.raises(DecodeError):
        ValueSerializer().loader(b"\x91" + deepest)


def test_a_page_keeps_its_cursors_and_order() -> None:
    serializer = PageSerializer(serializer_for(Instance))
    page = Page([loaded(Instance, id=2), loaded(Instance, id=1)], "next", "")
    make = serializer.loader(serializer.dumps(page))
    assert make() == page
    make().rows.clear()
    assert make() == page


def test_pages_with_the_same_first_bytes_are_distinguished() -> None:
    serializer = PageSerializer(serializer_for(Instance))
    first = loaded(Instance, id=2, name="a" * MEMO_KEY_BYTES)
    pages = [Page([first, loaded(Instance, id=number)], "next", "") for number in (1, 3, 1)]
    payloads = [serializer.dumps(page) for page in pages]
    assert len({payload[:MEMO_KEY_BYTES] for payload in payloads}) == 1
    assert [serializer.loader(payload)() for payload in payloads] == pages


def test_copies_of_a_memoized_page_are_independent() -> None:
    serializer = PageSerializer(serializer_for(Instance))
    payload = serializer.dumps(Page([loaded(Instance, id=1)], "next", ""))
    for _ in range(2):
        page = serializer.loader(payload)()
        assert [row.pk for row in page.rows] == [1]
        page.rows[0].pk = 7
        page.rows.clear()


def test_the_memo_of_pages_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cachelayer.read.serializers.MAX_PAGES", 2)
    serializer = PageSerializer(serializer_for(Instance))
    pages = [Page([loaded(Instance, id=number)], str(number), "") for number in range(5)]
    assert [serializer.loader(serializer.dumps(page))() for page in pages * 2] == pages * 2
