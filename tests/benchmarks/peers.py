"""Lists the benchmarked libraries (peers), each with its name, tier, adapter and measures.

Each library runs in its own process, because some libraries patch Django. All libraries read the same rows from the
same PostgreSQL and Valkey.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MINUTE = 60  # seconds
TTL = 30 * MINUTE  # `ttl` of the namespace of conversations in `conversations.cache_policy`
LOCAL_ITEMS = 1000  # `max_items` of the namespace of conversations in `conversations.cache_policy`
Settings = dict[str, Any]


class Tier(StrEnum):
    """Where a benchmarked library reads from: process memory, Valkey or PostgreSQL."""

    LOCAL = "process"
    SHARED = "Valkey"
    DATABASE = "PostgreSQL"


READS = ("row", "threads", "many", "page")
ALL_MEASURES = (*READS, "save", "replay", "seed")


@dataclass(frozen=True)
class Peer:
    """A benchmarked library, in one configuration.

    Attributes:
        name: the name of the library in the report.
        tier: where the library reads from (memory, Valkey or PostgreSQL).
        adapter: the class in `adapters` that reads and writes; "" for the library that runs in Node.
        measures: the names of the measures that the library supports.
        package: the Python package that must be installed, or "".
        settings: returns the Django settings that the library needs besides the project's settings.
        is_baseline: True for a baseline that is no cache and shows only the cost of requests to Valkey.
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
    from whatsai import settings  # noqa: PLC0415 - the import reads environment variables

    return {"CACHES": {**settings.CACHES, "peer": cache}}


def _cacheops(*, is_local: bool = False) -> Settings:
    profile = {"ops": "all", "timeout": TTL, "local_get": is_local}
    # The two configurations of cacheops have different prefixes, so that neither reads entries of the other.
    prefix = {"CACHEOPS_PREFIX": lambda _query: "local:" if is_local else ""}
    return (
        _with_app("cacheops")
        | prefix
        | {"CACHEOPS_REDIS": os.environ["REDIS_URL"], "CACHEOPS": {"conversations.*": profile}}
    )


def _cachalot(cache: Callable[[], Settings]) -> Settings:
    return _with_app("cachalot") | cache() | {"CACHALOT_CACHE": "peer", "CACHALOT_TIMEOUT": TTL}


def _with_app(name: str) -> Settings:
    from whatsai import settings  # noqa: PLC0415 - the import reads environment variables

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
NO_CACHE = "no cache"  # the project's API without its cache, which only `tests.benchmarks.api` measures

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
