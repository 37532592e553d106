"""Registers a project's namespaces and invalidation rules; a Django app calls `register` once, in its `ready`."""

from collections.abc import Iterable

from cachelayer.orm import signals
from cachelayer.orm.managers import FetchManager
from cachelayer.orm.rules import InvalidationRule, add_rule
from cachelayer.protocol.tags import Namespace
from cachelayer.runtime.runtime import namespaces


def register(new_namespaces: Iterable[Namespace], rules: Iterable[InvalidationRule]) -> None:
    """Register namespaces and rules, connect Django's signals, and let the models' managers use the cache.

    Raises:
        UnknownNamespace: a tag of a rule belongs to no namespace.
        ValueError: two namespaces use the same prefix for their tags.
    """
    for namespace in new_namespaces:
        namespaces.add(namespace)
    for rule in rules:
        add_rule(rule)
        for manager in rule.model._meta.managers:  # noqa: SLF001 - Django documents _meta
            if isinstance(manager, FetchManager):
                manager.bind(rule.namespaces[0], has_rows=rule.has_rows, on_loaded=rule.remember_loaded)
    signals.connect()
