"""Connects the invalidation rules to Django's signals."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.core.signals import request_finished
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

from cachelayer.orm.rules import InvalidationRule, get_rule
from cachelayer.write import transactions

_UID = "cachelayer"


def connect() -> None:
    """Connect the signal receivers, once for each model that has a rule."""
    for model, rule in _models_with_rules():
        for signal, receiver in _RECEIVERS:
            signal.connect(receiver, sender=model, weak=False, dispatch_uid=(_UID, model))
        for field in rule.model._meta.many_to_many:  # noqa: SLF001 - Django documents _meta
            m2m_changed.connect(_on_m2m, sender=field.remote_field.through, weak=False, dispatch_uid=(_UID, field))
    request_finished.connect(transactions.release_finished, weak=False, dispatch_uid=_UID)


def _models_with_rules() -> Iterator[tuple[type[Model], InvalidationRule]]:
    """Yield the models and proxy models that have a rule: the sender of a Django signal is the saved class."""
    for model in apps.get_models():
        rule = get_rule(model)
        if rule is not None:
            yield model, rule


def _before_write(sender: type[Model], instance: Model, using: str, **_signal: Any) -> None:
    rule = get_rule(sender)
    if rule is not None:
        transactions.begin(using, [*rule.tags_for(instance), *rule.stored_tags_for(instance, using)], row=instance)


def _after_write(sender: type[Model], instance: Model, using: str, **_signal: Any) -> None:  # noqa: ARG001 - required by Django
    transactions.finish_save(using, instance)


def _on_m2m(sender: Any, instance: Model, action: str, using: str, **signal: Any) -> None:  # noqa: ARG001 - required by Django
    """Before a many-to-many change, touch the tags of the row on this side and the other side's namespaces."""
    if not action.startswith("pre_"):
        return
    rule = get_rule(type(instance))
    tags: Sequence[str] = rule.tags_for(instance) if rule is not None else ()
    other = None if signal["model"] is None else get_rule(signal["model"])
    transactions.begin(using, [*tags, *(other.namespace_tags if other is not None else ())])


_RECEIVERS = (
    (pre_save, _before_write),
    (pre_delete, _before_write),
    (post_save, _after_write),
    (post_delete, _after_write),
)
