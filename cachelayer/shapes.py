"""How values become payloads, and payloads copies that no two callers share.

`freeze` does the work once, when an entry enters the local tier: what it returns makes one fresh copy a call, quickly.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast

from django.db.models import Field, Model
from django.db.models.base import ModelState
from django.db.models.fields.files import FieldFile, FileDescriptor
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init

from cachelayer.codec import Garbage, NotCacheable, decode, encode
from cachelayer.pages import Page

Row = TypeVar("Row", bound=Model)
Thaw = Callable[[], Any]

_HOLDERS = (dict, list, tuple, set)  # what can be altered, or may hold what can
# Fields whose values cannot be altered.
_OF_IMMUTABLES = frozenset(
    f"{name}Field"
    for name in (
        "Auto", "BigAuto", "SmallAuto", "Integer", "BigInteger", "SmallInteger", "PositiveInteger",
        "PositiveBigInteger", "PositiveSmallInteger", "Boolean", "Char", "Text", "Slug", "Date", "DateTime", "Time",
        "Duration", "Decimal", "Float", "UUID", "GenericIPAddress", "IPAddress", "File", "FilePath",
    )
) | {"ForeignKey", "OneToOneField"}  # fmt: skip
# Descriptors that take nothing but a place in the row's `__dict__`, or that do no more when a row is new.
_PLAIN = (DeferredAttribute, ForeignKeyDeferredAttribute, FileDescriptor)

_new = object.__new__


def copier(value: Any) -> Thaw | None:
    """Return what makes fresh copies of a decoded value; None when it cannot be altered, and needs none.

    Raises:
        Garbage: `encode` would never have written it.
    """
    if not isinstance(value, _HOLDERS):
        return None
    inside: Iterable[Any] = value.values() if isinstance(value, dict) else value
    if not any(isinstance(one, _HOLDERS) for one in inside):
        if isinstance(value, tuple):
            return None
        return type(value) if not value else value.copy
    try:
        return partial(decode, encode(value))
    except NotCacheable as error:
        raise Garbage(str(error)) from error


class ValueShape:
    """Any value that `codec` can write."""

    fingerprint = "1"

    def dump(self, value: Any) -> bytes:
        """Return the payload."""
        return encode(value)

    def freeze(self, payload: bytes) -> Thaw:
        """Return what makes copies of the value."""
        value = decode(payload)
        return copier(value) or (lambda: value)


class RowShape(Generic[Row]):
    """Rows of one model: the values of its columns, in order."""

    def __init__(self, model: type[Row], alias: str) -> None:
        fields = cast("Sequence[Field[Any, Any]]", model._meta.concrete_fields)  # noqa: SLF001 - Django's own way
        self.model = model
        self.alias = alias
        self.names = [field.attname for field in fields]
        self.fingerprint = _fingerprint(fields)
        self._mutable = [field.attname for field in fields if not _is_of_immutables(field)]
        self._state = {"adding": False, "db": alias}
        self._values = cast("Callable[[Row], Sequence[Any]]", attrgetter(*self.names))
        # A class that does something of its own when a row is made is made as Django makes it.
        self._is_plain = (
            all(getattr(model, name) is getattr(Model, name) for name in ("__init__", "__new__", "__setattr__"))
            and getattr(model.from_db, "__func__", None) is getattr(Model.from_db, "__func__", None)
            and not hasattr(model, "__slots__")
            and all(type(model.__dict__.get(name, _inherited(model, name))) in _PLAIN for name in self.names)
        )

    def values(self, row: Row) -> Sequence[Any]:
        """Return what is kept of a row.

        Raises:
            ValueError: some of its fields were not loaded.
        """
        if row.get_deferred_fields():
            raise ValueError("a row with deferred fields is not the whole row")
        values = self._values(row) if len(self.names) > 1 else (self._values(row),)
        return [value.name if isinstance(value, FieldFile) else value for value in values]

    def dump(self, row: Row) -> bytes:
        """Return the payload of a row."""
        return encode(self.values(row))

    def freeze(self, payload: bytes) -> Callable[[], Row]:
        """Return what makes the row anew at each call.

        Raises:
            Garbage: the payload is not one of ours.
        """
        return self.template(decode(payload))

    def template(self, values: Sequence[Any]) -> Callable[[], Row]:
        """Return what makes the row of these values anew at each call.

        Raises:
            Garbage: they are not a row's.
        """
        if not isinstance(values, list) or len(values) != len(self.names):
            raise Garbage("not a row")
        as_django_does = self._as_django_does(values)
        if not self._is_plain:
            return as_django_does
        model, state, known = self.model, self._state, dict(zip(self.names, values, strict=True))
        mutable = [(name, copy) for name in self._mutable if (copy := copier(known[name])) is not None]

        def thaw() -> Row:
            if (post_init.receivers or pre_init.receivers) and _is_listened_to(model):
                return as_django_does()
            fresh = known.copy()
            for name, copy in mutable:
                fresh[name] = copy()
            fresh["_state"] = status = _new(ModelState)
            status.__dict__ = state.copy()
            row = _new(model)
            row.__dict__ = fresh
            return row

        return thaw

    def _as_django_does(self, values: Sequence[Any]) -> Callable[[], Row]:
        model, alias, names = self.model, self.alias, self.names
        return lambda: model.from_db(alias, names, [(copier(value) or partial(_same, value))() for value in values])


class RowsShape(Generic[Row]):
    """A page of rows with its cursors; rows by themselves are a page that has none."""

    def __init__(self, row: RowShape[Row]) -> None:
        self._row = row
        self.fingerprint = row.fingerprint

    def dump(self, page: Page[Row]) -> bytes:
        """Return the payload of a page."""
        return encode([page.next_cursor, page.previous_cursor, [self._row.values(row) for row in page.rows]])

    def freeze(self, payload: bytes) -> Callable[[], Page[Row]]:
        """Return what makes the page anew, with new rows.

        Raises:
            Garbage: the payload is not one of ours.
        """
        try:
            next_cursor, previous_cursor, rows = decode(payload)
            templates = [self._row.template(values) for values in rows]
        except (TypeError, ValueError) as error:
            raise Garbage("not a page") from error
        return lambda: Page([thaw() for thaw in templates], next_cursor, previous_cursor)


def _is_of_immutables(field: "Field[Any, Any]") -> bool:
    """Whether its values cannot be altered; a field of somebody's own may make anything of what is in its column."""
    return field.get_internal_type() in _OF_IMMUTABLES and not hasattr(field, "from_db_value")


def _inherited(model: type[Model], name: str) -> Any:
    return next((base.__dict__[name] for base in model.__mro__ if name in base.__dict__), None)


def _same(value: Any) -> Any:
    return value


def _is_listened_to(model: type[Model]) -> bool:
    return post_init.has_listeners(model) or pre_init.has_listeners(model)


def _fingerprint(fields: Iterable["Field[Any, Any]"]) -> str:
    """Name the columns and their types: another schema, another fingerprint."""
    described = [(field.attname, *field.deconstruct()[1:2], field.get_internal_type(), field.null) for field in fields]
    return hashlib.blake2s(repr(described).encode(), digest_size=4).hexdigest()
