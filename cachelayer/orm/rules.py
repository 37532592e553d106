"""Invalidation rules: which tags a write to a model touches.

An invalidation rule names every tag that a write touches; one rule does not trigger another. A rule is applied to one
row at a time. A write to unknown rows, such as `QuerySet.update`, touches the namespaces of the tags (`querysets.py`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connections
from django.db.models import Model

from cachelayer.protocol.tags import Namespace
from cachelayer.runtime.runtime import namespaces
from cachelayer.write import transactions


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
    def mutable_fields(self) -> tuple[str, ...]:
        """The columns used in the tags whose values may change."""
        columns = dict.fromkeys(name for tag in self.tags for name in re.findall(r"{(\w+)}", tag))
        return tuple(name for name in columns if name not in (*self.immutable, "pk"))

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

    @cached_property
    def _templates(self) -> tuple[str, ...]:
        return tuple(re.sub(r"{(\w+)}", r"{0.\1}", tag) for tag in self.tags)

    @property
    def insert_tag(self) -> str:
        """The tag that every insert touches; negative entries (for missing rows) depend on this tag."""
        return self.namespaces[0].insert_tag

    def tags_for(self, row: Any) -> list[str]:
        """Return the tags of a row; for a row without a primary key, the insert tag replaces the row's own tag."""
        tags = [template.format(row) for template in self._templates]
        if row.pk is not None:
            return tags
        return [
            *(tag for tag, template in zip(tags, self.tags, strict=True) if "{pk}" not in template),
            self.insert_tag,
        ]

    def stored_tags_for(self, row: Any, using: str) -> list[str]:
        """Return the tags of the row as stored in the database; inside a transaction, the stored row stays locked."""
        if not self.mutable_fields or row.pk is None:
            return []
        rows = self.model._base_manager.using(using).filter(pk=row.pk)  # noqa: SLF001 - the base manager sees every row
        if transactions.is_in_transaction(connections[using]):
            rows = rows.select_for_update()
        stored = rows.only(*self.mutable_fields).first()
        return [] if stored is None else [template.format(_MergedRow(stored, row)) for template in self._templates]


class _MergedRow:
    """A row that takes mutable columns from the stored row, and all other columns from the row in memory."""

    def __init__(self, stored: Any, row: Any) -> None:
        self._stored_and_row = (stored, row)

    def __getattr__(self, name: str) -> Any:
        stored, row = self._stored_and_row
        return getattr(row if name in stored.get_deferred_fields() else stored, name)


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
    """Return the tags of rows as they are in memory; a row whose model has no rule has no tags."""
    tags = (tag for row in rows if (rule := get_rule(type(row))) is not None for tag in rule.tags_for(row))
    return list(dict.fromkeys(tags))
