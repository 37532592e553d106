"""The peers: name, tier, adapter and measures of each.

Each peer runs in its own process, because some of them patch Django. All read the same rows from the same two servers.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MINUTE = 60  # seconds
TTL = 30 * MINUTE  # as for conversations in `conversations.cache_policy`
LOCAL_ITEMS = 1000  # as for conversations in `conversations.cache_policy`
Settings = dict[str, Any]


class Tier(StrEnum):
    """Where a peer reads from."""

    LOCAL = "process"
    SHARED = "Valkey"
    DATABASE = "PostgreSQL"


READS = ("row", "threads", "many", "page")
ALL_MEASURES = (*READS, "save", "replay", "seed")


@dataclass(frozen=True)
class Peer:
    """One way to read conversations.

    Attributes:
        name: its name in the report.
        tier: where it reads from.
        adapter: the class in `adapters` that reads and writes; "" for the peer that runs in Node.
        measures: the measures that it supports.
        package: the package that it needs.
        settings: returns the Django settings that it adds to the project's.
        is_baseline: whether it is no cache and only shows the cost of the request to the server.
    """

    name: str
    tier: Tier
    adapter: str
    measures: tuple[str, ...]
    package: str = ""
    settings: Callable[[], Settings] = dict
    is_baseline: bool = False


# --- settings ---------------------------------------------------------------------------------------------------------
def _locmem() -> Settings:
    options = {"MAX_ENTRIES": LOCAL_ITEMS}
    return _peer_cache(BACKEND="django.core.cache.backends.locmem.LocMemCache", TIMEOUT=TTL, OPTIONS=options)


def _django_redis() -> Settings:
    return _peer_cache(BACKEND="django_redis.cache.RedisCache", LOCATION=os.environ["REDIS_URL"], TIMEOUT=TTL)


def _peer_cache(**cache: Any) -> Settings:
    from whatsai import settings  # noqa: PLC0415 - reads the environment

    return {"CACHES": {**settings.CACHES, "peer": cache}}


def _cacheops(*, is_local: bool = False) -> Settings:
    profile = {"ops": "all", "timeout": TTL, "local_get": is_local}
    # Each of the two peers has its own prefix, so that neither finds the other's entries.
    prefix = {"CACHEOPS_PREFIX": lambda _query: "local:" if is_local else ""}
    return (
        _with_app("cacheops")
        | prefix
        | {"CACHEOPS_REDIS": os.environ["REDIS_URL"], "CACHEOPS": {"conversations.*": profile}}
    )


def _cachalot(cache: Callable[[], Settings]) -> Settings:
    return _with_app("cachalot") | cache() | {"CACHALOT_CACHE": "peer", "CACHALOT_TIMEOUT": TTL}


def _with_app(name: str) -> Settings:
    from whatsai import settings  # noqa: PLC0415 - reads the environment

    return {"INSTALLED_APPS": [*settings.INSTALLED_APPS, name]}


# --- the table --------------------------------------------------------------------------------------------------------
OURS, OURS_SHARED = "WhatsAI", "WhatsAI, fresh=True"
OURS_UNSEEN = "WhatsAI, fresh=True, rows never seen"
ORM = "Django ORM"
LOCMEM, DJANGO_REDIS = "Django LocMem", "django-redis"
CACHEOPS, CACHEOPS_LOCAL = "cacheops", "cacheops, local_get"
CACHALOT, CACHALOT_LOCAL = "cachalot", "cachalot, LocMem"
GET, MGET = "redis-py GET", "redis-py MGET"
CACHE_MANAGER = "cache-manager"

PEERS = (
    Peer(OURS, Tier.LOCAL, "whatsai.Local", (*ALL_MEASURES, "value")),
    Peer(
        CACHEOPS_LOCAL,
        Tier.LOCAL,
        "orm.Orm",
        ("row", "threads", "replay", "seed"),
        "django-cacheops",
        lambda: _cacheops(is_local=True),
    ),
    Peer(LOCMEM, Tier.LOCAL, "django_cache.DjangoCache", (*ALL_MEASURES, "value"), settings=_locmem),
    Peer(CACHALOT_LOCAL, Tier.LOCAL, "orm.Orm", ALL_MEASURES, "django-cachalot", lambda: _cachalot(_locmem)),
    Peer(CACHE_MANAGER, Tier.LOCAL, "", ("value", "seed")),
    Peer(OURS_SHARED, Tier.SHARED, "whatsai.Shared", READS),
    Peer(OURS_UNSEEN, Tier.SHARED, "whatsai.Unseen", READS),
    Peer(DJANGO_REDIS, Tier.SHARED, "django_cache.DjangoCache", ALL_MEASURES, settings=_django_redis),
    Peer(CACHEOPS, Tier.SHARED, "orm.Orm", ALL_MEASURES, "django-cacheops", _cacheops),
    Peer(CACHALOT, Tier.SHARED, "orm.Orm", ALL_MEASURES, "django-cachalot", lambda: _cachalot(_django_redis)),
    Peer(GET, Tier.SHARED, "redis_py.Get", ("row", "threads"), is_baseline=True),
    Peer(MGET, Tier.SHARED, "redis_py.Mget", READS, is_baseline=True),
    Peer(ORM, Tier.DATABASE, "orm.Orm", ALL_MEASURES),
)
ALL_OURS = (OURS, OURS_SHARED, OURS_UNSEEN)
BY_NAME = {peer.name: peer for peer in PEERS}
