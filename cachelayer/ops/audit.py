"""The audit: entries that the cache believes in, compared with the database.

An entry is compared only while it is valid, and a difference counts only if it is still there after a grace period,
in an entry that is still valid: a write may be under way between the two looks.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from cachelayer.orm import rules
from cachelayer.protocol.codec import DecodeError, decode
from cachelayer.protocol.entries import EntryKey, Kind, LookupStatus, unpack, validate
from cachelayer.protocol.tags import GLOBAL_TAG, Namespace
from cachelayer.read.serializers import RowSerializer
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import strip_fingerprint


@dataclass(frozen=True)
class Difference:
    """An entry that says something else than the database of one row."""

    entry: str
    model: str
    pk: object
    description: str


@dataclass
class Result:
    """What an audit has found."""

    entries: int = 0
    rows: int = 0
    differences: frozenset[Difference] = frozenset()


class Auditor:
    """Audits the shared tier of one runtime."""

    def __init__(self, runtime: CacheRuntime, alias: str) -> None:
        self._runtime = runtime
        self._alias = alias
        self._models: dict[Namespace, type[Model]] = {
            rule.namespaces[0]: rule.model for rule in rules.all_rules() if rule.has_rows
        }

    def sample(self, size: int) -> list[str]:
        """Return the names of so many entries, each as likely as any other.

        Raises:
            StoreDown: the store does not answer; likewise below.
        """
        found: list[str] = []
        for number, name in enumerate(self._runtime.store.entry_names("*")):  # Vitter's algorithm R, 1985
            if number < size:
                found.append(name)
            elif (place := random.randrange(number + 1)) < size:  # noqa: S311 - a sample is no secret
                found[place] = name
        return found

    def compare(self, names: Iterable[str]) -> Result:
        """Compare these entries with the database now."""
        result = Result()
        differences: set[Difference] = set()
        for name in names:
            rows = self._rows_in(name)
            if rows is None:
                continue
            model, cached = rows
            result.entries += 1
            result.rows += len(cached)
            differences.update(self._compared(name, model, cached))
        result.differences = frozenset(differences)
        return result

    def _rows_in(self, name: str) -> tuple[type[Model], dict[Any, Any]] | None:
        """Return the rows that a valid entry holds, by primary key (None for an absent one); None for no such entry."""
        word, _, rest = strip_fingerprint(name).partition(":")
        try:
            namespace = self._runtime.namespaces.for_tag(word)
        except LookupError:
            return None
        model = self._models.get(namespace)
        if model is None or RowSerializer(model, self._alias).fingerprint != name.rpartition("@")[2]:
            return None  # a value, a list of another model's rows, or an entry of another schema
        is_row = word == namespace.row
        tag = strip_fingerprint(name) if is_row else strip_fingerprint(name).rpartition(":")[0]
        wanted = EntryKey(
            strip_fingerprint(name), (tag, namespace.name, GLOBAL_TAG), namespace.insert_tag if is_row else ""
        )
        data, states = self._runtime.store.read([name], wanted.all_tags)
        if data[0] is None or validate(wanted, data[0], states) is not LookupStatus.HIT:
            return None
        kind, _, payload = unpack(wanted, data[0])
        pk_place = [field.attname for field in model._meta.concrete_fields].index(model._meta.pk.attname)  # noqa: SLF001
        try:
            if kind is Kind.NEGATIVE:
                return model, {model._meta.pk.to_python(rest): None}  # noqa: SLF001 - Django's documented way
            found = [decode(row) for row in ([payload] if is_row else decode(payload)[2])]
            return model, {values[pk_place]: values for values in found}
        except (DecodeError, LookupError, TypeError):
            return None

    def _compared(self, name: str, model: type[Model], cached: Mapping[Any, Any]) -> Iterator[Difference]:
        """Compare rows with the database's."""
        shape: RowSerializer[Any] = RowSerializer(model, self._alias)
        stored = model._base_manager.using(self._alias).in_bulk(list(cached))  # noqa: SLF001 - sees every row
        for pk, values in cached.items():
            row = stored.get(pk)
            if row is None and values is None:
                continue
            if row is None or values is None:
                what = "is not in the database" if row is None else "is in the database"
            elif (changed := _changed(shape, values, row)) is None:
                continue
            else:
                what = f"differs in {changed}"
            yield Difference(name, model._meta.label, pk, what)  # noqa: SLF001 - Django's documented way


def _changed(shape: RowSerializer[Any], values: list[Any], row: Model) -> str | None:
    """Return the names of the fields that differ; None when none do. Never their values, which may be personal."""
    names = [name for name, one, two in zip(shape.names, values, shape.values(row), strict=True) if one != two]
    return ", ".join(names) or None
