"""Invalidation rules: which tags a write to a model touches.

An invalidation rule names every tag that a write touches; one rule does not trigger another. A rule is applied to one
row at a time. A write to unknown rows, such as `QuerySet.update`, touches the namespaces of the tags (`querysets.py`).

A write must touch the tags of the row that the database holds. A model instance need not know them: a caller may build
it with nothing but a primary key, or change its fields without saving them. So each instance remembers the values that
its tags had when it was loaded or saved (`REMEMBERED`). Where it remembers nothing, a query reads the stored row.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import Field, IntegerField, Model

from cachelayer.protocol.tags import Namespace
from cachelayer.runtime.runtime import namespaces
from cachelayer.write import transactions

TagValues = Mapping[str, Any]  # the values of the columns that the tags of a rule use, by the name of the column
Integers = tuple[int | None, ...]  # the values of all columns of a rule, if they are integers or None
_INTEGER_TYPES = frozenset({int, type(None)})
REMEMBERED = "_stored_tag_values"  # the attribute in which a model instance remembers the values of `columns`


class _Unknown(Exception):
    """Raised if the tags of a row cannot be told, for example because a column has an SQL expression as value."""


@dataclass(frozen=True)
class InvalidationRule:
    """The rule that a write to a row of `model` touches `tags`.

    Attributes:
        model: a subclass of `CachedModel`.
        tags: templates with columns of the row in braces, such as `messages:{conversation_id}`. The row's own
            tag comes first, if the rule has one.
        immutable: the columns in the tags, besides the primary key, that never change in the database. If the tags use
            other columns, a write also touches the tags of the stored row, which costs a query.
    """

    model: type[Model]
    tags: tuple[str, ...]
    immutable: tuple[str, ...] = ()

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns and properties that the tags use; the primary key comes first."""
        return tuple(dict.fromkeys(("pk", *(name for tag in self.tags for name in re.findall(r"{(\w+)}", tag)))))

    @cached_property
    def mutable_fields(self) -> tuple[str, ...]:
        """The columns used in the tags whose values may change."""
        return tuple(name for name in self.columns if name not in (*self.immutable, "pk"))

    @cached_property
    def namespaces(self) -> tuple[Namespace, ...]:
        """The namespaces that the tags of this rule belong to."""
        return tuple(dict.fromkeys(namespaces.for_tag(tag) for tag in self.tags))

    @property
    def has_rows(self) -> bool:
        """Whether the first namespace caches single rows of this model; otherwise the namespace caches only lists."""
        return self.tags[0] == self.namespaces[0].row_tag("{pk}")

    @cached_property
    def namespace_tags(self) -> tuple[str, ...]:
        """The tags of the namespaces, which a write to unknown rows touches."""
        return tuple(namespace.name for namespace in self.namespaces)

    @property
    def insert_tag(self) -> str:
        """The tag that every insert touches; negative entries (for missing rows) depend on this tag."""
        return self.namespaces[0].insert_tag

    # --- the tags of a write ------------------------------------------------------------------------------------------
    def needs_query(self, row: Model) -> bool:
        """Tell whether only the database knows the tags of the stored row that has the primary key of `row`."""
        return row.pk is not None and (bool(self.mutable_fields) or self._remembered(row) is None)

    def tags_of_insert(self, row: Model) -> Sequence[str]:
        """Return the tags of a row that an INSERT writes."""
        try:
            written = self._values(row)
        except _Unknown:
            return self.namespace_tags
        return self._format(written) if len(written) == len(self.columns) else self.namespace_tags

    def tags_of_inserts(self, rows: Iterable[Model]) -> Iterator[Sequence[str]]:
        """Yield the tags of rows that an INSERT writes; of rows with the same tags, the tags are yielded once."""
        found: set[Integers] = set()
        for row in rows:
            values = self._integers(row)
            if values is None:
                yield self.tags_of_insert(row)
            elif values not in found:
                found.add(values)
                yield self._format(dict(zip(self.columns, values, strict=True)))

    def tags_of_save(self, row: Model, using: str, update_fields: Iterable[str] | None) -> Sequence[str]:
        """Return the tags of the stored row, and those of the row after a save of `update_fields` (None: of all)."""
        stored = self._stored(row, using)
        try:
            written = self._values(row, update_fields)
        except _Unknown:
            return self.namespace_tags
        return self.namespace_tags if stored is None else self._format(stored, {**stored, **written})

    def tags_of_stored(self, row: Model, using: str) -> Sequence[str]:
        """Return the tags of a stored row that is about to be deleted, or the namespaces if the row does not exist."""
        stored = self._stored(row, using)
        return self.namespace_tags if stored is None else self._format(stored)

    def tags_of_locked(self, rows: Iterable[Model]) -> Iterator[Sequence[str]]:
        """Yield the tags of new rows, and of rows that were loaded and locked, without a query."""
        rows = list(rows)
        yield from self.tags_of_inserts(row for row in rows if row.pk is None)
        yield from (self._tags_of_locked(row) for row in rows if row.pk is not None)

    def _tags_of_locked(self, row: Model) -> Sequence[str]:
        stored = self._remembered(row)
        try:
            return self.namespace_tags if stored is None else self._format(stored, {**stored, **self._values(row)})
        except _Unknown:
            return self.namespace_tags

    def _stored(self, row: Model, using: str) -> TagValues | None:
        """Return the values in the database; None if the row does not exist. A queried row stays locked."""
        if not self.needs_query(row):
            return self._remembered(row)
        rows = self.model._base_manager.using(using).filter(pk=row.pk)  # noqa: SLF001 - the base manager sees every row
        if transactions.is_in_transaction(connections[using]):
            rows = rows.select_for_update()
        stored = (rows.only(*self.columns) if self._are_fields else rows).first()
        return None if stored is None else self._values(stored)

    def _format(self, *states: TagValues) -> list[str]:
        """Return the tags of a row in each state; without a primary key, the insert tag replaces the row's own tag."""
        tags: dict[str, None] = {}
        for index, values in enumerate(states):
            if values in states[:index]:
                continue
            is_new = values["pk"] is None
            tags.update(dict.fromkeys([tag.format_map(values) for tag in (self._new_tags if is_new else self.tags)]))
            if is_new:
                tags[self.insert_tag] = None
        return list(tags)

    @cached_property
    def _new_tags(self) -> tuple[str, ...]:
        """The templates of the tags that a row has before it has a primary key."""
        return tuple(tag for tag in self.tags if "{pk}" not in tag)

    # --- what a model instance remembers ------------------------------------------------------------------------------
    def remember_loaded(self, row: Model) -> None:
        """Let a row that was just loaded remember the values of its tags, unless some of its fields are deferred."""
        attributes = row.__dict__
        with suppress(KeyError, _Unknown):
            if self._are_fields:
                attributes[REMEMBERED] = tuple([attributes[name] for name in self._attnames])
            else:
                self._remember(row, self._values(row))

    def remember_saved(self, row: Model, update_fields: Iterable[str] | None) -> None:
        """Let a row remember the values that were just written to the database."""
        remembered = self._remembered(row)
        if remembered is not None and not self.mutable_fields:
            return
        values = self._integers(row) if update_fields is None else None
        if values is not None:
            row.__dict__[REMEMBERED] = values
            return
        with suppress(_Unknown):
            self._remember(row, {**(remembered or {}), **self._values(row, update_fields)})

    def _remember(self, row: Model, values: TagValues) -> None:
        if len(values) == len(self.columns):
            row.__dict__[REMEMBERED] = tuple([values[name] for name in self.columns])

    def _remembered(self, row: Model) -> TagValues | None:
        """Return what a row remembers; None if it remembers nothing, or the values of another row."""
        values = row.__dict__.get(REMEMBERED)
        return None if values is None or values[0] != row.pk else dict(zip(self.columns, values, strict=True))

    # --- values -------------------------------------------------------------------------------------------------------
    @cached_property
    def _fields(self) -> dict[str, "Field[Any, Any] | None"]:
        """The fields of the columns; None for a property."""
        return {name: _field(self.model, name) for name in self.columns}

    @cached_property
    def _sources(self) -> tuple[tuple[str, "Field[Any, Any] | None", str, bool], ...]:
        """Each column with its field, its attribute in a row, and whether its values are integers."""
        return tuple(
            (name, field, field.attname if field else name, isinstance(_target(field), IntegerField))
            for name, field in self._fields.items()
        )

    @cached_property
    def _are_fields(self) -> bool:
        return None not in self._fields.values()

    @cached_property
    def _attnames(self) -> tuple[str, ...]:
        return tuple(field.attname for field in self._fields.values() if field is not None)

    @cached_property
    def _are_integers(self) -> bool:
        return all(is_integer for _, _, _, is_integer in self._sources)

    def _integers(self, row: Model) -> "Integers | None":
        """Return the values of all columns if they are integers or None, which need no conversion; None otherwise."""
        if not self._are_integers:
            return None
        attributes = row.__dict__
        values = tuple([attributes.get(name, "") for name in self._attnames])
        return values if _INTEGER_TYPES.issuperset(map(type, values)) else None

    def _values(self, row: Model, update_fields: Iterable[str] | None = None) -> dict[str, Any]:
        """Return the values that a row has in memory, of all fields that a save of `update_fields` would write.

        Raises:
            _Unknown: a value is an SQL expression, or is no value of its field, or a property raises an exception.
        """
        values: dict[str, Any] = {}
        names = None if update_fields is None else set(update_fields)
        attributes = row.__dict__
        for column, field, name, is_integer in self._sources:
            if field is None:  # a property depends on fields that are not known
                if names is None and not row.get_deferred_fields():
                    values[column] = _property_value(row, column)
            elif column == "pk" or (name in attributes and (names is None or not names.isdisjoint((name, field.name)))):
                value = getattr(row, column)
                values[column] = value if is_integer and type(value) is int else _python_value(field, value)
        return values


def _field(model: type[Model], column: str) -> "Field[Any, Any] | None":
    meta: Any = model._meta  # noqa: SLF001 - Django documents _meta
    return meta.pk if column == "pk" else next((one for one in meta.concrete_fields if one.attname == column), None)


def _python_value(field: "Field[Any, Any]", value: Any) -> Any:
    """Return a value as the database returns it, because a caller may assign the text "07" to an integer field.

    Raises:
        _Unknown: the value is an SQL expression, or is no value of the field.
    """
    if value is None:
        return value
    if hasattr(value, "resolve_expression"):
        raise _Unknown
    try:
        return field.to_python(value)
    except (ValidationError, TypeError, ValueError) as error:
        raise _Unknown from error


def _property_value(row: Model, name: str) -> Any:
    try:
        return getattr(row, name)
    except Exception as error:  # a row that was built in memory may lack what the property needs
        raise _Unknown from error


def _target(field: Any) -> Any:
    """Return the field whose values a field stores: for a foreign key, the field that the key refers to."""
    return _target(field.target_field) if field is not None and field.remote_field else field


_rules: dict[type[Model], InvalidationRule] = {}


def add_rule(rule: InvalidationRule) -> None:
    """Register a rule.

    Raises:
        UnknownNamespace: a tag of the rule belongs to no namespace.
    """
    _ = rule.namespace_tags  # raises UnknownNamespace now, not at the first write
    _rules[rule.model] = rule


def all_rules() -> Iterable[InvalidationRule]:
    """Return all registered rules."""
    return _rules.values()


def get_rule(model: type[Model]) -> InvalidationRule | None:
    """Return the rule of a model; a proxy has its concrete model's rule, a child model its parent model's rule."""
    rule = _rules.get(model)
    if rule is None:
        others = (model._meta.concrete_model, *model._meta.get_parent_list())  # noqa: SLF001 - Django documents _meta
        rule = next((_rules[other] for other in others if other in _rules), None)
    return rule


def tags_for(rows: Iterable[Model]) -> list[str]:
    """Return the tags of new rows, and of rows that were loaded and locked; a model without a rule has no tags."""
    by_model: dict[type[Model], list[Model]] = {}
    for row in rows:
        by_model.setdefault(type(row), []).append(row)
    rules = ((get_rule(model), group) for model, group in by_model.items())
    tags = (tag for rule, group in rules if rule is not None for found in rule.tags_of_locked(group) for tag in found)
    return list(dict.fromkeys(tags))
