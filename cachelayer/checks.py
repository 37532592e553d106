"""Django system checks that report a configuration with which the cache would return stale data or be slow.

`PROBLEMS` lists all problems that the checks can report. A server process that finds an error does not start
(`startup.py`).
"""

import re
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django names the class `Warning`
from django.db import connections, router
from django.db.models import Model
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as noop

from cachelayer import conf, pickles
from cachelayer.conf import Options
from cachelayer.orm import rules
from cachelayer.orm.base import CachedModel
from cachelayer.orm.querysets import CachedQuerySet
from cachelayer.orm.rules import InvalidationRule
from cachelayer.protocol.tags import Namespace
from cachelayer.runtime.redis_options import REDIS_OPTIONS
from cachelayer.runtime.runtime import namespaces
from cachelayer.write import outbox

PREFIX_PATTERN = re.compile(r"[\w.-]+")
MAX_TIMEOUT = 1.0  # seconds; a longer time-out for the Redis server is reported as W001

# The text and the hint of each problem, by the id of the problem. The arguments of `_message` replace the placeholders.
PROBLEMS = {
    "E001": (noop("CACHELAYER has no option {0}."), noop("The options are {1}.")),
    "E002": (
        noop("CACHELAYER['ALIAS'] is {0!r}, but CACHES has no such cache."),
        noop("Set it to the key in CACHES of the cache that uses Redis."),
    ),
    "E003": (
        noop("CACHES[{0!r}] uses the backend {1}, which cachelayer does not support."),
        noop("Use django_redis.cache.RedisCache. With a single process, LocMemCache is possible too."),
    ),
    "E004": (
        noop("CACHELAYER['PREFIX'] is {0!r}, which contains characters that are not allowed or is empty."),
        noop(
            "Use letters, digits, '.', '_' and '-', because keys are split at colons and searched with glob patterns."
        ),
    ),
    "E005": (
        noop("CACHES[{0!r}]['OPTIONS']['CONNECTION_POOL_KWARGS'] does not have the {1} that cachelayer needs."),
        noop("Start from cachelayer.REDIS_OPTIONS. Otherwise a server that restarts with old data is not detected."),
    ),
    "E006": (
        noop("{0} has an invalidation rule, but is not a CachedModel."),
        noop("Derive the model from CachedModel. Otherwise its writes do not invalidate entries."),
    ),
    "E007": (
        noop("{0}.{1} is not a CachedManager, so writes through it do not invalidate entries."),
        noop("Derive it from CachedManager. For _base_manager, set Meta.base_manager_name to such a manager."),
    ),
    "E008": (
        noop("A tag of the invalidation rule of {0} uses {1}, which is not a column of the model."),
        noop("Use columns, such as instance_id, or pk. A property that never changes must be listed in `immutable`."),
    ),
    "E009": (
        noop("{0} is written to the database {1!r}, which has no outbox, so its writes fail while the server is away."),
        noop("Let the database routers allow the migrations of cachelayer there."),
    ),
    "E010": (
        noop("The namespace {0} has max_items={1} and ttl={2}, so it stores nothing."),
        noop("Set both to more than 0."),
    ),
    "E011": (
        noop("CACHELAYER['LOCAL_MB'] is {0!r}, so the local cache of a process stores nothing."),
        noop("Set it to a number above 0, in MB of memory."),
    ),
    "E012": (
        noop("CACHES[{0!r}] decodes values from {1} with pickle, so whoever can write there can run code."),
        noop(
            "On Redis, start from cachelayer.REDIS_OPTIONS, or choose a JSON serializer. A folder of files must belong "
            "to the user of the server, and nobody else may write to it. Memcached cannot be used."
        ),
    ),
    "E013": (
        noop("CACHES[{0!r}] uses the backend {1}, and cachelayer does not know how it decodes values."),
        noop(
            "With pickle, whoever can write there can run code. Use django-redis with a JSON serializer, or a cache of "
            "Django. If the backend decodes no pickles, add cachelayer.E013 to SILENCED_SYSTEM_CHECKS."
        ),
    ),
    "W001": (
        noop(
            "CACHES[{0!r}]['OPTIONS'] has no {1}, or one above a second, so requests wait as long for a server that "
            "hangs."
        ),
        noop("Start from cachelayer.REDIS_OPTIONS."),
    ),
    "W002": (
        noop("ATOMIC_REQUESTS is on for the database {0!r}, and reads inside a transaction are not cached."),
        noop("Turn it off, and use transaction.atomic() around writes."),
    ),
}


def check(**_kwargs: Any) -> list[CheckMessage]:
    """Run all system checks of the cache. Django calls this function."""
    return [
        *_check_options(),
        *_check_redis_options(),
        *_check_pickles(),
        *_check_namespaces(),
        *_check_rules(),
    ]


def _message(problem: str, *arguments: object) -> CheckMessage:
    message, hint = PROBLEMS[problem]
    kind = Error if problem.startswith("E") else Warning
    return kind(gettext(message).format(*arguments), hint=gettext(hint).format(*arguments), id=f"cachelayer.{problem}")


# --- settings ---------------------------------------------------------------------------------------------------------
def _check_options() -> Iterator[CheckMessage]:
    for name in conf.raw_options():
        if name not in Options.names():
            yield _message("E001", name, " and ".join(Options.names()))
    options = Options.read()
    if not options.cache:
        yield _message("E002", options.alias)
    elif not options.is_shared and options.cache.get("BACKEND") not in conf.IN_PROCESS:
        yield _message("E003", options.alias, options.cache.get("BACKEND"))
    if not PREFIX_PATTERN.fullmatch(str(options.prefix)):
        yield _message("E004", options.prefix)
    local_mb: object = options.local_mb  # the setting may contain a value of any type
    if not isinstance(local_mb, int | float) or local_mb <= 0:
        yield _message("E011", local_mb)


def _check_redis_options() -> Iterator[CheckMessage]:
    """Check the options of the connections to Redis, if the settings name a Redis server."""
    options = Options.read()
    if not options.is_shared:
        return
    redis_options = options.cache.get("OPTIONS", {})
    pool = redis_options.get("CONNECTION_POOL_KWARGS", {})
    for name, required in REDIS_OPTIONS["CONNECTION_POOL_KWARGS"].items():
        if pool.get(name) != required:
            yield _message("E005", options.alias, name)
    for name in ("SOCKET_CONNECT_TIMEOUT", "SOCKET_TIMEOUT"):
        if not 0 < (redis_options.get(name) or 0) <= MAX_TIMEOUT:
            yield _message("W001", options.alias, name)


def _check_pickles() -> Iterator[CheckMessage]:
    """Report each cache, also those that `cachelayer` does not use, that may decode with pickle what others write."""
    caches: Mapping[str, Mapping[str, Any]] = settings.CACHES
    for alias, config in caches.items():
        backend = pickles.backend_of(config)
        if backend is None:
            continue
        if not pickles.is_known(backend):
            yield _message("E013", alias, config["BACKEND"])
        elif source := pickles.source(backend, config):
            yield _message("E012", alias, source)


# --- namespaces and rules ---------------------------------------------------------------------------------------------
def _check_namespaces() -> Iterator[CheckMessage]:
    for namespace in namespaces:
        yield from check_namespace(namespace)


def check_namespace(namespace: Namespace) -> Iterator[CheckMessage]:
    """Report a namespace whose limits let it store nothing."""
    if namespace.ttl <= 0 or namespace.max_items <= 0:
        yield _message("E010", namespace.name, namespace.max_items, namespace.ttl)


def _check_rules() -> Iterator[CheckMessage]:
    for rule in rules.all_rules():
        yield from check_rule(rule)
    for alias in dict.fromkeys(router.db_for_write(rule.model) for rule in rules.all_rules()):
        if connections[alias].settings_dict["ATOMIC_REQUESTS"]:
            yield _message("W002", alias)


def check_rule(rule: InvalidationRule) -> Iterator[CheckMessage]:
    """Report what is wrong with one invalidation rule and with the managers of its model."""
    label, alias = _label(rule.model), router.db_for_write(rule.model)
    if not issubclass(rule.model, CachedModel):
        yield _message("E006", label)
        return
    for model in (rule.model, *_submodels(rule.model)):
        yield from _check_managers(model)
    known = {"pk", *(field.attname for field in rule.model._meta.concrete_fields)}  # noqa: SLF001 - _meta is public
    known.update(name for name in rule.immutable if isinstance(getattr(rule.model, name, None), property))
    for name in dict.fromkeys(name for tag in rule.tags for _, name, _, _ in Formatter().parse(tag) if name):
        if name not in known:
            yield _message("E008", label, name)
    if alias not in outbox.databases():
        yield _message("E009", label, alias)


def _check_managers(model: type[Model]) -> Iterator[CheckMessage]:
    managers = {manager.name: manager for manager in model._meta.managers}  # noqa: SLF001 - Django documents _meta
    for name, manager in (*managers.items(), ("_base_manager", model._base_manager)):  # noqa: SLF001 - is public
        if not isinstance(manager.get_queryset(), CachedQuerySet):
            yield _message("E007", _label(model), name)


def _submodels(model: type[Model]) -> Iterator[type[Model]]:
    """Yield all models that inherit from a model, directly or indirectly, except abstract ones."""
    for child in model.__subclasses__():
        if child._meta.apps is model._meta.apps and not child._meta.abstract:  # noqa: SLF001 - Django documents _meta
            yield child
            yield from _submodels(child)


def _label(model: type[Model]) -> str:
    return model._meta.label  # noqa: SLF001 - Django documents _meta
