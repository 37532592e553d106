"""The audit: compares entries of the shared store with the database.

Only valid entries are compared. A write may commit between reading an entry and reading the database. So a difference
counts only if a second comparison, some seconds later, finds the same difference in a valid entry.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as noop

from cachelayer.orm import rules
from cachelayer.protocol.codec import DecodeError, decode
from cachelayer.protocol.entries import EntryKey, Kind, LookupStatus, unpack, validate
from cachelayer.protocol.tags import GLOBAL_TAG, Namespace
from cachelayer.read.serializers import RowSerializer
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import strip_fingerprint


@dataclass(frozen=True)
class Difference:
    """A row that is not the same in a cached entry and in the database.

    Attributes:
        entry: the name of the entry.
        model: the label of the row's model.
        pk: the primary key of the row.
        text: how it differs, in English, marked for translation.
        columns: the names of the columns in the text.
    """

    entry: str
    model: str
    pk: object
    text: str
    columns: str = ""

    @property
    def description(self) -> str:
        """How the row differs, in English; it has no values, because these may be personal data."""
        return self.text % {"columns": self.columns}

    @property
    def translated(self) -> str:
        """The description in the language that is active."""
        return gettext(self.text) % {"columns": self.columns}


@dataclass
class Result:
    """The result of an audit: how many entries and rows were compared, and which rows differ."""

    entries: int = 0
    rows: int = 0
    differences: frozenset[Difference] = frozenset()


class Auditor:
    """Compares the shared store of one cache runtime with one database."""

    def __init__(self, runtime: CacheRuntime, alias: str) -> None:
        self._runtime = runtime
        self._alias = alias
        self._models: dict[Namespace, type[Model]] = {
            rule.namespaces[0]: rule.model for rule in rules.all_rules() if rule.has_rows
        }

    def sample(self, size: int) -> list[str]:
        """Return the names of `size` entries, chosen uniformly (reservoir sampling: Vitter's algorithm R, 1985).

        Raises:
            StoreDown: the store does not answer.
        """
        names: list[str] = []
        for number, name in enumerate(self._runtime.store.entry_names("*")):
            if number < size:
                names.append(name)
            elif (place := random.randrange(number + 1)) < size:  # noqa: S311 - sampling needs no secure randomness
                names[place] = name
        return names

    def compare(self, names: Iterable[str]) -> Result:
        """Compare the named entries with the current rows in the database.

        Raises:
            StoreDown: the store does not answer.
        """
        result = Result()
        differences: set[Difference] = set()
        for name in names:
            cached = self._read_rows(name)
            if cached is None:
                continue
            model, rows = cached
            result.entries += 1
            result.rows += len(rows)
            differences.update(self._find_differences(name, model, rows))
        result.differences = frozenset(differences)
        return result

    def _read_rows(self, name: str) -> tuple[type[Model], dict[Any, Any]] | None:
        """Read the rows that one cached entry holds.

        Returns:
            The model, and a dict from primary keys to column values, or to None for a negative entry. The result is
            None if the entry is not valid, or holds no rows of a model that has a rule.
        """
        entry_name = strip_fingerprint(name)
        word, _, rest = entry_name.partition(":")
        try:
            namespace = self._runtime.namespaces.for_tag(word)
        except LookupError:
            return None
        model = self._models.get(namespace)
        if model is None or RowSerializer(model, self._alias).fingerprint != name.rpartition("@")[2]:
            return None  # the entry is a value, a list of another model's rows, or from an older schema
        is_row = word == namespace.row
        tag = entry_name if is_row else entry_name.rpartition(":")[0]
        entry_key = EntryKey(entry_name, (tag, namespace.name, GLOBAL_TAG), namespace.insert_tag if is_row else "")
        data, states = self._runtime.store.read([name], entry_key.all_tags)
        if data[0] is None or validate(entry_key, data[0], states) is not LookupStatus.HIT:
            return None
        kind, _, payload = unpack(data[0])
        meta = model._meta  # noqa: SLF001 - Django documents _meta
        pk_index = [field.attname for field in meta.concrete_fields].index(meta.pk.attname)
        try:
            if kind is Kind.NEGATIVE:
                return model, {meta.pk.to_python(rest): None}
            rows = [decode(row) for row in ([payload] if is_row else decode(payload)[2])]
            return model, {values[pk_index]: values for values in rows}
        except (DecodeError, LookupError, TypeError):
            return None

    def _find_differences(self, name: str, model: type[Model], cached: Mapping[Any, Any]) -> Iterator[Difference]:
        """Compare cached rows with the stored rows, which are read with the base manager, because it hides no row."""
        serializer: RowSerializer[Any] = RowSerializer(model, self._alias)
        stored = model._base_manager.using(self._alias).in_bulk(list(cached))  # noqa: SLF001 - documented by Django
        for pk, values in cached.items():
            difference = _compare(serializer, values, stored.get(pk))
            if difference:
                yield Difference(name, model._meta.label, pk, *difference)  # noqa: SLF001 - Django documents _meta


def _compare(serializer: RowSerializer[Any], values: list[Any] | None, row: Model | None) -> tuple[str, str] | None:
    """Return how a cached row differs from the stored row, and in which columns; None if the two rows are equal."""
    if values is None:
        return None if row is None else (noop("is in the database"), "")
    if row is None:
        return noop("is not in the database"), ""
    pairs = zip(serializer.names, values, serializer.values(row), strict=True)
    changed = ", ".join(name for name, cached, stored in pairs if cached != stored)
    return (noop("differs in %(columns)s"), changed) if changed else None
