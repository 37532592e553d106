"""How values become payloads, and payloads copies that no two callers share.

`freeze` does the work once, when an entry enters the local tier: what it returns makes one fresh copy a call, quickly.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast

from django.db import router
from django.db.models import Field, Model
from django.db.models.base import ModelState
from django.db.models.fields.files import FieldFile, FileDescriptor
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init

from cachelayer.protocol.codec import DecodeError, NotCacheable, decode, encode
from cachelayer.read.page import Page

Row = TypeVar("Row", bound=Model)
Factory = Callable[[], Any]
Prepared = tuple[Any, ...]  # a row's values by name, and a `Thaw` for each field whose values can be altered

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

MAX_ROWS = 4096  # decoded rows of a model
MAX_ROW_BYTES = 2048  # bytes; what is longer is decoded each time
MAX_PAGES = 64  # remembered pages of a model
MAX_PAGE_BYTES = 65_536  # bytes; longer pages are decoded each time
PREFIX = 96  # bytes of a page, by which it is looked for: its cursors, or its first row

_new = object.__new__


def copy_factory(value: Any, levels: int = 3) -> Factory | None:
    """Return what makes fresh copies of a decoded value; None when it cannot be altered, and needs none.

    Raises:
        Garbage: `encode` would never have written it.
    """
    if not isinstance(value, _HOLDERS):
        return None
    if not value:
        return type(value)
    inside = [(key, one) for key, one in _items(value) if isinstance(one, _HOLDERS)]
    if not inside:
        return None if isinstance(value, tuple) else value.copy
    if levels and isinstance(value, dict | list):
        return _copier_of(value, [(key, copy) for key, one in inside if (copy := copy_factory(one, levels - 1))])
    try:
        return partial(decode, encode(value))
    except NotCacheable as error:
        raise DecodeError(str(error)) from error


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, dict) else enumerate(value)


def _copier_of(value: Any, inside: Sequence[tuple[Any, Factory]]) -> Factory:
    """Return what copies a dict or a list, and what can be altered inside it."""
    (first, copy_first), *rest = inside

    def copied() -> Any:
        fresh = value.copy()
        fresh[first] = copy_first()
        for key, copy in rest:
            fresh[key] = copy()
        return fresh

    def copied_one() -> Any:
        fresh = value.copy()
        fresh[first] = copy_first()
        return fresh

    return copied if rest else copied_one


class ValueSerializer:
    """Any value that `codec` can write."""

    fingerprint = "1"

    def dumps(self, value: Any) -> bytes:
        """Return the payload."""
        return encode(value)

    def loader(self, payload: bytes) -> Factory:
        """Return what makes copies of the value."""
        value = decode(payload)
        return copy_factory(value) or (lambda: value)


class RowSerializer(Generic[Row]):
    """Rows of one model: the values of its columns, in order."""

    def __init__(self, model: type[Row], alias: str) -> None:
        fields = cast("Sequence[Field[Any, Any]]", model._meta.concrete_fields)  # noqa: SLF001 - Django's own way
        self.model = model
        self.alias = alias
        self.names = [field.attname for field in fields]
        self.fingerprint = _fingerprint(fields)
        self._mutable = [field.attname for field in fields if not _is_of_immutables(field)]
        self._remembered: dict[bytes, Prepared] = {}
        self._values = cast("Callable[[Row], Sequence[Any]]", attrgetter(*self.names))
        # A class that does something of its own when a row is made is made as Django makes it.
        self._is_plain = (
            all(getattr(model, name) is getattr(Model, name) for name in ("__init__", "__new__", "__setattr__"))
            and getattr(model.from_db, "__func__", None) is getattr(Model.from_db, "__func__", None)
            and not hasattr(model, "__slots__")
            and isinstance(_inherited(model, "_state"), LazyModelState)
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

    def dumps(self, row: Row) -> bytes:
        """Return the payload of a row."""
        return encode(self.values(row))

    def loader(self, payload: bytes) -> Callable[[], Row]:
        """Return what makes the row anew at each call.

        Raises:
            Garbage: the payload is not one of ours.
        """
        known, *copies = self._remembered.get(payload) or self._prepared(payload)
        model, mutable = self.model, list(zip(self._mutable, copies, strict=True))

        def thaw() -> Row:
            if (post_init.receivers or pre_init.receivers) and _is_listened_to(model):
                return self._as_django_does(known)
            fresh = known.copy()
            for name, copy in mutable:
                fresh[name] = copy()
            row = _new(model)
            row.__dict__ = fresh
            return row

        return thaw if self._is_plain else partial(self._as_django_does, known)

    def many_loader(self, payloads: Sequence[bytes]) -> Callable[[], list[Row]]:
        """Return what makes the rows anew at each call; as `freeze`, but quicker than one by one.

        Raises:
            Garbage: some payload is not one of ours.
        """
        remembered = self._remembered.get
        prepared = [remembered(payload) or self._prepared(payload) for payload in payloads]
        all_known, *columns = zip(*prepared, strict=True) if prepared else ((),)
        model, mutable = self.model, list(zip(self._mutable, columns, strict=False))  # no rows have no columns

        def thaw() -> list[Row]:
            if not self._is_plain or ((post_init.receivers or pre_init.receivers) and _is_listened_to(model)):
                return [self._as_django_does(known) for known in all_known]
            all_fresh = [known.copy() for known in all_known]
            for name, copies in mutable:
                for fresh, copy in zip(all_fresh, copies, strict=True):
                    fresh[name] = copy()
            made = []
            for fresh in all_fresh:
                row = _new(model)
                row.__dict__ = fresh
                made.append(row)
            return made

        return thaw

    def _prepared(self, payload: bytes) -> Prepared:
        """Return a row's values by name, and what makes copies of those that can be altered.

        The values are never given to anybody. Of a list that has changed most rows are the same as before, and the same
        row is in many lists: what has been decoded is not decoded again.
        """
        known = self._decoded(payload)
        prepared = known, *[copy_factory(known[name]) or partial(_same, known[name]) for name in self._mutable]
        if len(payload) <= MAX_ROW_BYTES:
            if len(self._remembered) >= MAX_ROWS:
                self._remembered.clear()
            self._remembered[payload] = prepared
        return prepared

    def _decoded(self, payload: bytes) -> dict[str, Any]:
        values = decode(payload)
        if not isinstance(values, list) or len(values) != len(self.names):
            raise DecodeError("not a row")
        return dict(zip(self.names, values, strict=False))  # their number was looked at

    def clear_memo(self) -> None:
        """Decode again what has been decoded."""
        self._remembered.clear()

    def _as_django_does(self, known: dict[str, Any]) -> Row:
        values = [(copy_factory(value) or partial(_same, value))() for value in known.values()]
        return self.model.from_db(self.alias, self.names, values)


class PageSerializer(Generic[Row]):
    """A page of rows with its cursors; rows by themselves are a page that has none."""

    def __init__(self, row: RowSerializer[Row]) -> None:
        self._row = row
        self._remembered: dict[bytes, tuple[bytes, Factory]] = {}
        self.fingerprint = row.fingerprint

    def dumps(self, page: Page[Row]) -> bytes:
        """Return the payload of a page."""
        return encode([page.next_cursor, page.previous_cursor, [self._row.dumps(row) for row in page.rows]])

    def loader(self, payload: bytes) -> Callable[[], Page[Row]]:
        """Return what makes the page anew, with new rows.

        Raises:
            Garbage: the payload is not one of ours.
        """
        mark = payload[:PREFIX]  # a whole page takes as long to hash as to fetch; to compare it takes next to nothing
        seen, thaw = self._remembered.get(mark, (None, None))
        if thaw is None or seen != payload:
            thaw = self._prepared(payload)
            if len(payload) <= MAX_PAGE_BYTES:
                if len(self._remembered) >= MAX_PAGES:
                    self._remembered.clear()
                self._remembered[mark] = payload, thaw
        return thaw

    def _prepared(self, payload: bytes) -> Callable[[], Page[Row]]:
        try:
            next_cursor, previous_cursor, payloads = decode(payload)
            thaw = self._row.many_loader(payloads)
        except (TypeError, ValueError) as error:
            raise DecodeError("not a page") from error
        return lambda: Page(thaw(), next_cursor, previous_cursor)


class LazyModelState:
    """The `_state` of a row that came from the cache, made when somebody asks for it: most are read without.

    Where Django makes a row it sets the attribute, and this is not asked.
    """

    def __get__(self, row: Model | None, model: type[Model] | None = None) -> Any:
        """Make it, once a row."""
        if row is None:
            return self
        state = row.__dict__["_state"] = ModelState()
        state.adding, state.db = False, router.db_for_write(type(row))
        return state


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
