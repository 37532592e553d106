"""System checks: what is configured so that the cache would be wrong, or slow, is said before anything is served.

`PROBLEMS` is all of them. A server process that has an error among them does not start (`startup.py`).
"""

import re
from collections.abc import Iterator
from string import Formatter
from typing import Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name for it
from django.db import connections, router
from django.db.models import Model

from cachelayer import conf
from cachelayer.conf import Options
from cachelayer.orm import rules
from cachelayer.orm.base import CachedModel
from cachelayer.orm.querysets import CachedQuerySet
from cachelayer.orm.rules import InvalidationRule
from cachelayer.protocol.tags import Namespace
from cachelayer.runtime.redis_options import REDIS_OPTIONS
from cachelayer.runtime.runtime import namespaces
from cachelayer.write import outbox

PREFIX = re.compile(r"[\w.-]+")
LONGEST_TIMEOUT = 1.0  # seconds

PROBLEMS = {
    "E001": ("CACHELAYER has no option {0}.", "Its options are {1}."),
    "E002": ("CACHELAYER['ALIAS'] is {0!r}, which CACHES does not have.", "Name the cache that is on the server."),
    "E003": (
        "CACHES[{0!r}] is a {1}, which the cache cannot use.",
        "Use django_redis.cache.RedisCache; or, with one process only, LocMemCache.",
    ),
    "E004": (
        "CACHELAYER['PREFIX'] is {0!r}.",
        "Use letters, digits, '.', '_' and '-': keys are searched for by patterns and taken apart at colons.",
    ),
    "E005": (
        "CACHES[{0!r}]['OPTIONS']['CONNECTION_POOL_KWARGS'] has not the cache's {1}.",
        "Start from cachelayer.REDIS_OPTIONS: else a server that comes back with old data would be believed.",
    ),
    "E006": ("The rule of {0}: it is no CachedModel.", "Derive it from one, or its writes go past the cache."),
    "E007": (
        "{0}.{1} is not a CachedManager: what is written through it goes past the cache.",
        "Derive it from CachedManager; the base manager is what Meta.base_manager_name names.",
    ),
    "E008": (
        "The rule of {0} depends on {1}, which is no column of it.",
        "Name columns, such as instance_id, or pk; or properties that never change, among the rule's fixed names.",
    ),
    "E009": (
        "{0} is written to the database {1!r}, which has no outbox: without the server, its writes would fail.",
        "Let the routers allow cachelayer to migrate there.",
    ),
    "E010": ("The namespace {0} keeps {1} entries for {2} s.", "Let both be more than 0."),
    "W001": (
        "CACHES[{0!r}]['OPTIONS'] sets no {1}, or a long one: while the server hangs, every page would.",
        "Start from cachelayer.REDIS_OPTIONS.",
    ),
    "W002": (
        "ATOMIC_REQUESTS is on for the database {0!r}: what is read inside a transaction is not kept.",
        "Use transaction.atomic() where something is written.",
    ),
}


def check(**_given: Any) -> list[CheckMessage]:
    """Look for all of them (called by Django)."""
    return [*_options(), *_server(), *_namespaces(), *_rules()]


def _problem(name: str, *words: object) -> CheckMessage:
    message, hint = PROBLEMS[name]
    kind = Error if name.startswith("E") else Warning
    return kind(message.format(*words), hint=hint.format(*words), id=f"cachelayer.{name}")


# --- settings ---------------------------------------------------------------------------------------------------------
def _options() -> Iterator[CheckMessage]:
    for name in conf.raw_options():
        if name not in Options.names():
            yield _problem("E001", name, " and ".join(Options.names()))
    options = Options.read()
    if not options.cache:
        yield _problem("E002", options.alias)
    elif not options.is_shared and options.cache.get("BACKEND") not in conf.IN_PROCESS:
        yield _problem("E003", options.alias, options.cache.get("BACKEND"))
    if not PREFIX.fullmatch(str(options.prefix)):
        yield _problem("E004", options.prefix)


def _server() -> Iterator[CheckMessage]:
    """Look at how the server is reached, where there is one."""
    options = Options.read()
    if not options.is_shared:
        return
    found = options.cache.get("OPTIONS", {})
    pool = found.get("CONNECTION_POOL_KWARGS", {})
    for name, ours in REDIS_OPTIONS["CONNECTION_POOL_KWARGS"].items():
        if pool.get(name) != ours:
            yield _problem("E005", options.alias, name)
    for name in ("SOCKET_CONNECT_TIMEOUT", "SOCKET_TIMEOUT"):
        if not 0 < (found.get(name) or 0) <= LONGEST_TIMEOUT:
            yield _problem("W001", options.alias, name)


# --- the policy -------------------------------------------------------------------------------------------------------
def _namespaces() -> Iterator[CheckMessage]:
    for namespace in namespaces:
        yield from of_namespace(namespace)


def of_namespace(namespace: Namespace) -> Iterator[CheckMessage]:
    """Look at one namespace."""
    if namespace.ttl <= 0 or namespace.max_items <= 0:
        yield _problem("E010", namespace.name, namespace.max_items, namespace.ttl)


def _rules() -> Iterator[CheckMessage]:
    for rule in rules.all_rules():
        yield from of_rule(rule)
    for alias in dict.fromkeys(router.db_for_write(rule.model) for rule in rules.all_rules()):
        if connections[alias].settings_dict["ATOMIC_REQUESTS"]:
            yield _problem("W002", alias)


def of_rule(rule: InvalidationRule) -> Iterator[CheckMessage]:
    """Look at one rule and its model."""
    label, alias = _label(rule.model), router.db_for_write(rule.model)
    if not issubclass(rule.model, CachedModel):
        yield _problem("E006", label)
        return
    for model in (rule.model, *_derived(rule.model)):
        yield from _of_managers(model)
    known = {"pk", *(field.attname for field in rule.model._meta.concrete_fields)}  # noqa: SLF001 - documented
    known.update(name for name in rule.immutable if isinstance(getattr(rule.model, name, None), property))
    for name in dict.fromkeys(name for tag in rule.tags for _, name, _, _ in Formatter().parse(tag) if name):
        if name not in known:
            yield _problem("E008", label, name)
    if alias not in outbox.databases():
        yield _problem("E009", label, alias)


def _of_managers(model: type[Model]) -> Iterator[CheckMessage]:
    named = {manager.name: manager for manager in model._meta.managers}  # noqa: SLF001 - documented; likewise below
    for name, manager in (*named.items(), ("_base_manager", model._base_manager)):  # noqa: SLF001
        if not isinstance(manager.get_queryset(), CachedQuerySet):
            yield _problem("E007", _label(model), name)


def _derived(model: type[Model]) -> Iterator[type[Model]]:
    """Yield the models that are derived from it, however far."""
    for child in model.__subclasses__():
        if child._meta.apps is model._meta.apps and not child._meta.abstract:  # noqa: SLF001 - documented
            yield child
            yield from _derived(child)


def _label(model: type[Model]) -> str:
    return model._meta.label  # noqa: SLF001 - documented
