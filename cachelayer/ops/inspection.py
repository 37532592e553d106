"""Describes one entry of the shared store, for operators: whether readers use it, its tags, versions and value."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import Model

from cachelayer.orm import rules
from cachelayer.protocol.codec import DecodeError, decode
from cachelayer.protocol.entries import (
    VERSION_SIZE,
    EntryKey,
    Kind,
    LookupStatus,
    body_end,
    is_version,
    unpack,
    validate,
)
from cachelayer.protocol.keys import value_key
from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.read.serializers import RowSerializer, ValueSerializer
from cachelayer.runtime.runtime import CacheRuntime

SHOWN_DIGITS = 8  # of a version


class TagState(NamedTuple):
    """A tag of an entry: the version that the entry has, and the one that the store has now, as hexadecimal digits.

    Attributes:
        held: "" if the entry has no version of the tag.
        current: "" if the store has no version of the tag, or a write to it has not ended.
    """

    tag: str
    held: str
    current: str

    @property
    def is_current(self) -> bool:
        """Whether the version has not changed since the value was loaded."""
        return bool(self.held) and self.held == self.current


@dataclass(frozen=True)
class Entry:
    """An entry of the shared store.

    Attributes:
        name: its cache key.
        status: whether readers use it.
        is_negative: whether it records that a row does not exist.
        size: its size in bytes.
        expires_at: when it expires.
        age: about how long ago it was stored; the time to live varies by a tenth.
        tags: its tags that are known from its key, with their versions. A value may depend on more tags.
        other_tags: how many more tags it depends on.
        value: the value, or the columns of the row by name; None if it is negative or cannot be decoded.
    """

    name: str
    status: LookupStatus
    is_negative: bool
    size: int
    expires_at: dt.datetime
    age: dt.timedelta
    tags: tuple[TagState, ...]
    other_tags: int
    value: Any


def model_of(key: str) -> tuple[type[Model], str] | None:
    """Return the model and the primary key of the row that a cache key names, such as `conversation:12`."""
    word, _, pk = key.partition(":")
    for rule in rules.all_rules():
        if rule.has_rows and rule.namespaces[0].row == word and pk:
            return rule.model, pk
    return None


def key_of(model: type[Model], pk: object) -> str:
    """Return the cache key of a row."""
    rule = rules.get_rule(model)
    return rule.namespaces[0].row_tag(pk) if rule is not None else ""


def inspect(runtime: CacheRuntime, key: str, now: dt.datetime, alias: str = "default") -> Entry | None:
    """Return the entry of a row or of a value; None if the store does not have it.

    Args:
        runtime: the cache.
        key: the cache key, such as `conversation:12` for a row or `conversations:digest:7` for a value.
        now: the time.
        alias: the database of the row.

    Raises:
        StoreDown: the store does not answer.
    """
    row = model_of(key)
    namespace = runtime.namespaces.for_key(key)
    serializer: Any = RowSerializer(row[0], alias) if row else ValueSerializer()
    name = key if row else value_key(namespace, key)
    entry_key = EntryKey(name, (name, namespace.name, GLOBAL_TAG), namespace.insert_tag if row else "")
    (data,), states = runtime.store.read([f"{name}@{serializer.fingerprint}"], entry_key.all_tags)
    if data is None:
        return None
    versions = _versions(data)
    try:
        kind, expires_at, payload = unpack(data)
        value = None if kind is Kind.NEGATIVE else decode(payload)
    except DecodeError:
        return None
    tags = entry_key.all_tags if kind is Kind.NEGATIVE else entry_key.tags
    expiry = dt.datetime.fromtimestamp(expires_at, dt.UTC)
    # A value may depend on tags that its key does not tell, and then the order of its versions is not known.
    is_known = len(versions) == len(tags)
    return Entry(
        name=name,
        status=validate(entry_key, data, states) if is_known else _status_of_value(versions, states),
        is_negative=kind is Kind.NEGATIVE,
        size=len(data),
        expires_at=expiry,
        age=max(dt.timedelta(), dt.timedelta(seconds=namespace.ttl) - (expiry - now)),
        tags=tuple(
            TagState(tag, _digits(versions[number] if is_known else _find(versions, state)), _digits(state))
            for number, (tag, state) in enumerate(zip(tags, states, strict=False))
        ),
        other_tags=max(0, len(versions) - len(tags)),
        value=dict(zip(serializer.names, value, strict=True)) if row and value is not None else value,
    )


def _versions(data: bytes) -> list[bytes]:
    start = body_end(data)
    return [data[place : place + VERSION_SIZE] for place in range(start, len(data), VERSION_SIZE)]


def _find(versions: Sequence[bytes], state: bytes | None) -> bytes | None:
    return state if state in versions else None


def _status_of_value(versions: Sequence[bytes], states: Sequence[bytes | None]) -> LookupStatus:
    return LookupStatus.HIT if all(state in versions for state in states) else LookupStatus.MISS


def _digits(state: bytes | None) -> str:
    return state.decode("ascii", "replace")[:SHOWN_DIGITS] if state is not None and is_version(state) else ""
