"""Serializers convert values to payloads (byte strings), and payloads to values.

The method `loader` of a serializer decodes a payload once, when the entry enters the local cache. `loader` returns a
function that makes a new copy of the value at each call, so that no two callers share an object. Copying must be fast,
because it takes most of the time of a local hit.
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
from cachelayer.protocol.entries import FORMAT
from cachelayer.protocol.memo import Memo
from cachelayer.read.page import Page

Row = TypeVar("Row", bound=Model)
T = TypeVar("T")
Factory = Callable[[], Any]
DecodedRow = tuple[Any, ...]  # the values of a row by field name, and a `Factory` for each mutable field

_CONTAINERS = (dict, list, tuple, set)  # types of values that are mutable or may contain mutable values
# Types of Django fields whose values are immutable.
_IMMUTABLE_FIELDS = frozenset(
    f"{name}Field"
    for name in (
        "Auto", "BigAuto", "SmallAuto", "Integer", "BigInteger", "SmallInteger", "PositiveInteger",
        "PositiveBigInteger", "PositiveSmallInteger", "Boolean", "Char", "Text", "Slug", "Date", "DateTime", "Time",
        "Duration", "Decimal", "Float", "UUID", "GenericIPAddress", "IPAddress", "File", "FilePath",
    )
) | {"ForeignKey", "OneToOneField"}  # fmt: skip
# Descriptors of fields whose value can be written directly into the `__dict__` of a new model instance.
_PLAIN_DESCRIPTORS = (DeferredAttribute, ForeignKeyDeferredAttribute, FileDescriptor)

# How many decoded payloads a serializer keeps in its memo. A memo saves decoding the same payload twice.
MAX_MEMO_BYTES = 2**18  # bytes that all payloads in one memo may have; decoded, they take 10 to 24 times as much
MAX_ROWS = 4096  # number of decoded rows of one model in the memo
MAX_ROW_BYTES = 2048  # bytes; a row with a longer payload is not kept in the memo
MAX_PAGES = 64  # number of decoded pages of one model in the memo
MAX_PAGE_BYTES = 65_536  # bytes; a page with a longer payload is not kept in the memo
MEMO_KEY_BYTES = 96  # how many of the first bytes of a page's payload are the key of the page in the memo

_new = object.__new__


def copy_factory(value: Any, levels: int = 3) -> Factory | None:
    """Return a function that makes new copies of a decoded value; None for an immutable value, which needs no copies.

    Args:
        value: the decoded value.
        levels: how many nested levels of dicts and lists are copied. Values at deeper levels are encoded once, and
            decoded again for each copy.

    Raises:
        DecodeError: the value cannot be encoded, so it cannot be the result of decoding a payload.
    """
    if not isinstance(value, _CONTAINERS):
        return None
    if not value:
        return type(value)
    containers = [(key, item) for key, item in _items(value) if isinstance(item, _CONTAINERS)]
    if not containers:
        return None if isinstance(value, tuple) else value.copy
    if levels and isinstance(value, dict | list):
        mutable = [(key, copy) for key, item in containers if (copy := copy_factory(item, levels - 1))]
        return _nested_copy(value, mutable) if mutable else value.copy
    try:
        return partial(decode, encode(value))
    except NotCacheable as error:
        raise DecodeError(str(error)) from error


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, dict) else enumerate(value)


def _nested_copy(value: Any, items: Sequence[tuple[Any, Factory]]) -> Factory:
    """Return a function that copies a dict or a list, and calls the `Factory` of each mutable item in it."""
    (first, copy_first), *rest = items

    def copy_all() -> Any:
        fresh = value.copy()
        fresh[first] = copy_first()
        for key, copy in rest:
            fresh[key] = copy()
        return fresh

    def copy_one() -> Any:
        fresh = value.copy()
        fresh[first] = copy_first()
        return fresh

    return copy_all if rest else copy_one


class ValueSerializer:
    """Serializes plain values of all types that `cachelayer.protocol.codec` can encode."""

    fingerprint = str(FORMAT)

    def dumps(self, value: Any) -> bytes:
        """Return a value as a payload."""
        return encode(value)

    def loader(self, payload: bytes) -> Factory:
        """Return a function that makes a new copy of the value in the payload at each call.

        Raises:
            DecodeError: the payload is malformed.
        """
        value = decode(payload)
        return copy_factory(value) or (lambda: value)


class RowSerializer(Generic[Row]):
    """Serializes a row of one model as the list of the values of the row's columns.

    Args:
        model: the model.
        alias: the alias of the database from which rows are loaded.
        on_loaded: called with a model instance of each decoded row; all copies of the instance get the attributes that
            the function adds.
    """

    def __init__(self, model: type[Row], alias: str, on_loaded: Callable[[Row], None] | None = None) -> None:
        fields = cast("Sequence[Field[Any, Any]]", model._meta.concrete_fields)  # noqa: SLF001 - Django documents _meta
        self.model = model
        self.alias = alias
        self.names = [field.attname for field in fields]
        self.fingerprint = _fingerprint(fields)
        self._mutable = [field.attname for field in fields if not _is_immutable(field)]
        self._on_loaded = on_loaded
        self._memo: Memo[bytes, DecodedRow] = Memo(MAX_MEMO_BYTES, MAX_ROWS)
        self._values = cast("Callable[[Row], Sequence[Any]]", attrgetter(*self.names))
        # Instances are made without calling `from_db` only if the model does not customize how Django makes instances.
        # The class that declares `LazyModelState` has a `from_db` of its own, which adds what `on_loaded` adds.
        self._is_plain = (
            all(getattr(model, name) is getattr(Model, name) for name in ("__init__", "__new__", "__setattr__"))
            and _declaring_class(model, "from_db") in (Model, _declaring_class(model, "_state"))
            and not hasattr(model, "__slots__")
            and isinstance(_inherited(model, "_state"), LazyModelState)
            and all(
                type(model.__dict__.get(name, _inherited(model, name))) in _PLAIN_DESCRIPTORS for name in self.names
            )
        )

    def values(self, row: Row) -> Sequence[Any]:
        """Return the values of the columns of a row; the value of a file field is the name of the file.

        Raises:
            ValueError: some fields of the row are deferred.
        """
        if row.get_deferred_fields():
            raise ValueError("a row with deferred fields cannot be cached")
        values = self._values(row) if len(self.names) > 1 else (self._values(row),)
        return [value.name if isinstance(value, FieldFile) else value for value in values]

    def dumps(self, row: Row) -> bytes:
        """Return a row as a payload."""
        return encode(self.values(row))

    def loader(self, payload: bytes) -> Callable[[], Row]:
        """Return a function that makes a new instance of the row in the payload at each call.

        Raises:
            DecodeError: the payload is malformed.
        """
        values, *factories = self._memo.get(payload) or self._decode_and_memoize(payload)
        model, mutable = self.model, list(zip(self._mutable, factories, strict=True))

        def make_row() -> Row:
            if (post_init.receivers or pre_init.receivers) and _has_init_receivers(model):
                return self._from_db(values)
            fresh = values.copy()
            for name, copy in mutable:
                fresh[name] = copy()
            row = _new(model)
            row.__dict__ = fresh
            return row

        return make_row if self._is_plain else partial(self._from_db, values)

    def many_loader(self, payloads: Sequence[bytes]) -> Callable[[], list[Row]]:
        """Return a function that makes new instances of several rows at each call, faster than one `loader` a row.

        Raises:
            DecodeError: a payload is malformed.
        """
        memoized = self._memo.get
        decoded = [memoized(payload) or self._decode_and_memoize(payload) for payload in payloads]
        all_values, *columns = zip(*decoded, strict=True) if decoded else ((),)
        model, mutable = (
            self.model,
            list(zip(self._mutable, columns, strict=False)),
        )  # if there are no rows, `columns` is empty

        def make_rows() -> list[Row]:
            if not self._is_plain or ((post_init.receivers or pre_init.receivers) and _has_init_receivers(model)):
                return [self._from_db(values) for values in all_values]
            all_fresh = [values.copy() for values in all_values]
            for name, factories in mutable:
                for fresh, copy in zip(all_fresh, factories, strict=True):
                    fresh[name] = copy()
            rows = []
            for fresh in all_fresh:
                row = _new(model)
                row.__dict__ = fresh
                rows.append(row)
            return rows

        return make_rows

    def _decode_and_memoize(self, payload: bytes) -> DecodedRow:
        """Decode the payload of a row, and keep the decoded row in the memo.

        The memo saves decoding, because the payload of a row occurs in many lists and in each new version of a list.
        All callers share the values in the memo, so a `Factory` copies each mutable value.
        """
        values = self._decode(payload)
        decoded = values, *[copy_factory(values[name]) or partial(_identity, values[name]) for name in self._mutable]
        if len(payload) <= MAX_ROW_BYTES:
            self._memo.keep(payload, decoded, len(payload))
        return decoded

    def _decode(self, payload: bytes) -> dict[str, Any]:
        values = decode(payload)
        if not isinstance(values, list) or len(values) != len(self.names):
            raise DecodeError("not a row")
        attributes = dict(zip(self.names, values, strict=False))  # the lengths are equal
        if self._on_loaded is not None:
            row = _new(self.model)
            row.__dict__ = attributes
            self._on_loaded(row)
        return attributes

    def clear_memo(self) -> None:
        """Remove all decoded rows from the memo."""
        self._memo.clear()

    def _from_db(self, values: dict[str, Any]) -> Row:
        """Make a model instance with Django's method `from_db`, from copies of the values."""
        loaded = [values[name] for name in self.names]
        copies = [(copy_factory(value) or partial(_identity, value))() for value in loaded]
        return self.model.from_db(self.alias, self.names, copies)


class PageSerializer(Generic[Row]):
    """Serializes one page of a list with its cursors. A list without pagination is one page without cursors."""

    def __init__(self, row: RowSerializer[Row]) -> None:
        self._row = row
        self._memo: Memo[bytes, tuple[bytes, Factory]] = Memo(MAX_MEMO_BYTES, MAX_PAGES)
        self.fingerprint = row.fingerprint

    def dumps(self, page: Page[Row]) -> bytes:
        """Return a page as a payload."""
        return encode([page.next_cursor, page.previous_cursor, [self._row.dumps(row) for row in page.rows]])

    def loader(self, payload: bytes) -> Callable[[], Page[Row]]:
        """Return a function that makes a new page with new row instances at each call.

        Raises:
            DecodeError: the payload is malformed.
        """
        # Only the first bytes of the payload are hashed, because hashing a long payload takes as long as fetching it
        # from Redis. Comparing the payload with the payload in the memo is fast.
        memo_key = payload[:MEMO_KEY_BYTES]
        memo_payload, make_page = self._memo.get(memo_key, (None, None))
        if make_page is None or memo_payload != payload:
            make_page = self._decode(payload)
            if len(payload) <= MAX_PAGE_BYTES:
                self._memo.keep(memo_key, (payload, make_page), len(payload))
        return make_page

    def _decode(self, payload: bytes) -> Callable[[], Page[Row]]:
        try:
            next_cursor, previous_cursor, payloads = decode(payload)
            make_rows = self._row.many_loader(payloads)
        except (TypeError, ValueError) as error:
            raise DecodeError("not a page") from error
        return lambda: Page(make_rows(), next_cursor, previous_cursor)


class LazyModelState:
    """A descriptor that makes the attribute `_state` of a cached row when `_state` is first used.

    Most code that reads cached rows never uses `_state`. Rows that Django makes have `_state` in their `__dict__`, so
    Python does not call this descriptor for such rows.
    """

    def __get__(self, row: Model | None, model: type[Model] | None = None) -> Any:
        """Make the `ModelState` of a row, and store it in the `__dict__` of the row."""
        if row is None:
            return self
        state = row.__dict__["_state"] = ModelState()
        state.adding, state.db = False, router.db_for_write(type(row))
        return state


def _is_immutable(field: "Field[Any, Any]") -> bool:
    """Tell whether all values of a field are immutable. A field with `from_db_value` may have values of any type."""
    return field.get_internal_type() in _IMMUTABLE_FIELDS and not hasattr(field, "from_db_value")


def _inherited(model: type[Model], name: str) -> Any:
    """Return an attribute of a model class or of its base classes without calling `__get__` of a descriptor."""
    declaring = _declaring_class(model, name)
    return declaring.__dict__[name] if declaring is not None else None


def _declaring_class(model: type[Model], name: str) -> type | None:
    return next((base for base in model.__mro__ if name in base.__dict__), None)


def _identity(value: Any) -> Any:
    return value


def _has_init_receivers(model: type[Model]) -> bool:
    return post_init.has_listeners(model) or pre_init.has_listeners(model)


def _fingerprint(fields: Iterable["Field[Any, Any]"]) -> str:
    """Return a digest of the columns of a model and their types, and of the format of entries."""
    described = [(field.attname, *field.deconstruct()[1:2], field.get_internal_type(), field.null) for field in fields]
    return hashlib.blake2s(repr((FORMAT, described)).encode(), digest_size=4).hexdigest()
