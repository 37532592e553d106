"""Registers a project's namespaces and invalidation rules; an app calls it once, when it is ready."""

from collections.abc import Iterable

from cachelayer.orm import signals
from cachelayer.orm.managers import FetchManager
from cachelayer.orm.rules import InvalidationRule, add_rule
from cachelayer.protocol.tags import Namespace
from cachelayer.runtime.runtime import namespaces


def register(new_namespaces: Iterable[Namespace], rules: Iterable[InvalidationRule]) -> None:
    """Register namespaces and rules, connect the signals, and make the models' managers read cache-first.

    Raises:
        UnknownNamespace: a tag of a rule belongs to no namespace.
        ValueError: two namespaces share a word.
    """
    for namespace in new_namespaces:
        namespaces.add(namespace)
    for rule in rules:
        add_rule(rule)
        for manager in rule.model._meta.managers:  # noqa: SLF001 - Django documents _meta
            if isinstance(manager, FetchManager):
                manager.bind(rule.namespaces[0], has_rows=rule.has_rows)
    signals.connect()
