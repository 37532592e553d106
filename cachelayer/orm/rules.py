"""The cascade: which tags a write to a model touches. Rules are data; `connect` wires them to Django's signals.

There is no transitivity: what a rule does not name is not touched. A rule sees one row at a time; where the rows are
not known, as in `QuerySet.update`, the namespaces of its tags are touched instead (`querysets.py`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.apps import apps
from django.core.signals import request_finished
from django.db import connections
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

from cachelayer.protocol.tags import Namespace
from cachelayer.runtime import runtime
from cachelayer.write import transactions

_UID = "cachelayer"


@dataclass(frozen=True)
class InvalidationRule:
    """A write to a row of `model` touches `tags`.

    Attributes:
        model: a subclass of `CachedModel`.
        tags: names with fields of the row in braces, such as `messages:{conversation_id}`; the row's own tag first.
        fixed: those of these fields, beside the primary key, that never change in the database. When one of the others
            may have changed, the tags of the old row are touched too, which costs a query.
    """

    model: type[Model]
    tags: tuple[str, ...]
    immutable: tuple[str, ...] = ()

    @cached_property
    def mutable_fields(self) -> tuple[str, ...]:
        """The fields that the tags of a row depend on and that may change."""
        named = dict.fromkeys(name for tag in self.tags for name in re.findall(r"{(\w+)}", tag))
        return tuple(name for name in named if name not in (*self.immutable, "pk"))

    @cached_property
    def namespaces(self) -> tuple[Namespace, ...]:
        """The namespaces of the tags."""
        return tuple(dict.fromkeys(runtime.namespaces.for_tag(tag) for tag in self.tags))

    @property
    def has_rows(self) -> bool:
        """Whether the rows of its namespace are this model's; of another one it has lists only."""
        return self.tags[0] == self.namespaces[0].row_tag("{pk}")

    @cached_property
    def namespace_tags(self) -> tuple[str, ...]:
        """The namespaces' tags: all that can be said where the rows are not known."""
        return tuple(namespace.name for namespace in self.namespaces)

    @cached_property
    def _templates(self) -> tuple[str, ...]:
        return tuple(re.sub(r"{(\w+)}", r"{0.\1}", tag) for tag in self.tags)

    @property
    def insert_tag(self) -> str:
        """The tag that known absences depend on."""
        return self.namespaces[0].insert_tag

    def tags_for(self, row: Any) -> list[str]:
        """Return the tags of a row; one that has no primary key yet has none of its own, but is a birth."""
        tags = [template.format(row) for template in self._templates]
        if row.pk is not None:
            return tags
        return [*(tag for tag, plain in zip(tags, self.tags, strict=True) if "{pk}" not in plain), self.insert_tag]

    def stored_tags_for(self, row: Any, using: str) -> list[str]:
        """Return the tags of the row as the database has it, locked until the end of a transaction if there is one."""
        if not self.mutable_fields or row.pk is None:
            return []
        rows = self.model._base_manager.using(using).filter(pk=row.pk)  # noqa: SLF001 - sees every row
        if transactions.is_in_transaction(connections[using]):
            rows = rows.select_for_update()
        old = rows.only(*self.mutable_fields).first()
        return [] if old is None else [template.format(_MergedRow(old, row)) for template in self._templates]


class _MergedRow:
    """A row as it is in the database where that differs, and as it is in memory where it cannot."""

    def __init__(self, old: Any, new: Any) -> None:
        self._rows = (old, new)

    def __getattr__(self, name: str) -> Any:
        old, new = self._rows
        return getattr(new if name in old.get_deferred_fields() else old, name)


_rules: dict[type[Model], InvalidationRule] = {}


def rules() -> Iterable[InvalidationRule]:
    """Return all rules there are."""
    return _rules.values()


def get_rule(model: type[Model]) -> InvalidationRule | None:
    """Return the rule of a model, or of the one that it is a proxy of, or part of whose row is in that one's table."""
    rule = _rules.get(model)
    if rule is None:
        others = (model._meta.concrete_model, *model._meta.get_parent_list())  # noqa: SLF001 - documented
        rule = next((_rules[other] for other in others if other in _rules), None)
    return rule


def tags_of(rows: Iterable[Model]) -> list[str]:
    """Return the tags of rows as they are in memory; a row whose model has no rule has none."""
    tags = (tag for row in rows if (rule := get_rule(type(row))) is not None for tag in rule.tags_for(row))
    return list(dict.fromkeys(tags))


def register(namespaces: Iterable[Namespace], rules: Iterable[InvalidationRule]) -> None:
    """Register a project's namespaces and rules, wire the signals, and let the models' managers read cache-first.

    Raises:
        UnknownNamespace: a tag of a rule belongs to none.
        ValueError: two namespaces share a word.
    """
    for namespace in namespaces:
        runtime.namespaces.add(namespace)
    for rule in rules:
        _rules[rule.model] = rule
        _ = rule.namespace_tags  # raises now, not at the first write
        _bind(rule)
    connect()


def connect() -> None:
    """Wire the rules to Django's signals, once."""
    for model, rule in _wired():
        for signal, receiver in _RECEIVERS:
            signal.connect(receiver, sender=model, weak=False, dispatch_uid=(_UID, model))
        for field in rule.model._meta.many_to_many:  # noqa: SLF001 - Django's documented way to its fields
            m2m_changed.connect(_on_m2m, sender=field.remote_field.through, weak=False, dispatch_uid=(_UID, field))
    request_finished.connect(transactions.release_finished, weak=False, dispatch_uid=_UID)


def disconnect() -> None:
    """Unwire the signals: for measuring what they cost."""
    for model, rule in _wired():
        for signal, _ in _RECEIVERS:
            signal.disconnect(sender=model, dispatch_uid=(_UID, model))
        for field in rule.model._meta.many_to_many:  # noqa: SLF001 - as above
            m2m_changed.disconnect(sender=field.remote_field.through, dispatch_uid=(_UID, field))


def _wired() -> Iterator[tuple[type[Model], InvalidationRule]]:
    """Yield the models of the rules and their proxies: a signal's sender is the class that was saved."""
    for model in apps.get_models():
        rule = get_rule(model)
        if rule is not None:
            yield model, rule


def _bind(rule: InvalidationRule) -> None:
    from cachelayer.orm.managers import CachedManager  # noqa: PLC0415 - managers know rules

    for manager in rule.model._meta.managers:  # noqa: SLF001 - Django's documented way to them
        if isinstance(manager, CachedManager):
            manager.bind(rule.namespaces[0], has_rows=rule.has_rows)


# --- the signals ------------------------------------------------------------------------------------------------------
def _before(sender: type[Model], instance: Model, using: str, **_signal: Any) -> None:
    rule = get_rule(sender)
    if rule is not None:
        transactions.begin(using, [*rule.tags_for(instance), *rule.stored_tags_for(instance, using)], row=instance)


def _after(sender: type[Model], instance: Model, using: str, **_signal: Any) -> None:  # noqa: ARG001 - a receiver
    transactions.finish_save(using, instance)


def _on_m2m(sender: Any, instance: Model, action: str, using: str, **signal: Any) -> None:  # noqa: ARG001 - as above
    """Touch what shows the relation: the row on whose side it was changed, or all of the other side's."""
    if not action.startswith("pre_"):
        return
    rule = get_rule(type(instance))
    tags: Sequence[str] = rule.tags_for(instance) if rule is not None else ()
    other = None if signal["model"] is None else get_rule(signal["model"])
    transactions.begin(using, [*tags, *(other.namespace_tags if other is not None else ())])


_RECEIVERS = ((pre_save, _before), (pre_delete, _before), (post_save, _after), (post_delete, _after))
