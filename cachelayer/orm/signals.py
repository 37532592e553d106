"""Connects the invalidation rules to Django's signals of deletions and of changed many-to-many relations.

Saves are not connected by signals: `CachedModel` handles them when Django writes the row.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from django.apps import apps
from django.db.models import CASCADE, DO_NOTHING, PROTECT, RESTRICT, Model
from django.db.models.signals import m2m_changed, pre_delete

from cachelayer.orm.rules import InvalidationRule, get_rule
from cachelayer.write import transactions

_UID = "cachelayer"


def connect() -> None:
    """Connect the signal receivers, once for each model that has a rule."""
    for model, rule in _models_with_rules():
        pre_delete.connect(_before_delete, sender=model, weak=False, dispatch_uid=(_UID, model))
        for field in model._meta.concrete_fields:  # noqa: SLF001 - Django documents _meta
            if _is_updated_without_queryset(field):
                touch, uid = partial(_before_update, rule), (_UID, model, field)
                pre_delete.connect(touch, sender=field.related_model, weak=False, dispatch_uid=uid)
        for field in rule.model._meta.many_to_many:  # noqa: SLF001 - Django documents _meta
            m2m_changed.connect(_on_m2m, sender=field.remote_field.through, weak=False, dispatch_uid=(_UID, field))


def _models_with_rules() -> Iterator[tuple[type[Model], InvalidationRule]]:
    """Yield the models and proxy models that have a rule: the sender of a Django signal is the saved class."""
    for model in apps.get_models():
        rule = get_rule(model)
        if rule is not None:
            yield model, rule


def _before_delete(sender: type[Model], instance: Model, using: str, **_signal: Any) -> None:
    """Touch the tags of the stored row; Django sends the signal inside the transaction of the deletion."""
    rule = get_rule(sender)
    if rule is not None:
        transactions.begin(using, rule.tags_of_stored(instance, using))


def _is_updated_without_queryset(field: Any) -> bool:
    """Tell whether Django sets a foreign key by SQL of its own when the related row is deleted: `SET(function)`."""
    on_delete = field.remote_field and field.remote_field.on_delete
    return on_delete not in (None, CASCADE, PROTECT, RESTRICT, DO_NOTHING) and not hasattr(on_delete, "lazy_sub_objs")


def _before_update(rule: InvalidationRule, using: str, **_signal: Any) -> None:
    """Touch the namespaces of unknown rows that refer to a row that is about to be deleted."""
    transactions.begin(using, rule.namespace_tags)


def _on_m2m(sender: Any, instance: Model, action: str, using: str, **signal: Any) -> None:  # noqa: ARG001 - required by Django
    """Before a many-to-many change, touch the tags of the row on this side and the other side's namespaces."""
    if not action.startswith("pre_"):
        return
    rule = get_rule(type(instance))
    tags: Sequence[str] = rule.tags_of_stored(instance, using) if rule is not None else ()
    other = None if signal["model"] is None else get_rule(signal["model"])
    transactions.begin(using, [*tags, *(other.namespace_tags if other is not None else ())])
