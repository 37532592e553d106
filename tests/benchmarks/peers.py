"""The peers: what each is called, where it keeps its values, and what it is measured at.

Each has a process of its own, for some change Django as a whole. All read the same rows on the same two servers.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MINUTE = 60  # seconds
TTL = 30 * MINUTE  # of conversations, here as in `conversations.cache_policy`
LOCAL_ITEMS = 1000  # likewise
Settings = dict[str, Any]


class Tier(StrEnum):
    """Where what is read comes from."""

    LOCAL = "process"
    SHARED = "Valkey"
    DATABASE = "PostgreSQL"


READS = ("row", "threads", "many", "page")
WHOLE = (*READS, "save", "replay", "seed")


@dataclass(frozen=True)
class Peer:
    """One way to read conversations.

    Attributes:
        name: what the report calls it.
        tier: where what it reads comes from.
        side: the class of `sides` that reads; "" for the one that is no Python.
        measures: what it is measured at.
        package: what has to be installed for it.
        settings: makes Django's settings for it, beside the project's.
        is_floor: whether it caches nothing and only shows what the way to the server costs.
    """

    name: str
    tier: Tier
    side: str
    measures: tuple[str, ...]
    package: str = ""
    settings: Callable[[], Settings] = dict
    is_floor: bool = False


# --- settings ---------------------------------------------------------------------------------------------------------
def _locmem() -> Settings:
    options = {"MAX_ENTRIES": LOCAL_ITEMS}
    return _peer_cache(BACKEND="django.core.cache.backends.locmem.LocMemCache", TIMEOUT=TTL, OPTIONS=options)


def _django_redis() -> Settings:
    return _peer_cache(BACKEND="django_redis.cache.RedisCache", LOCATION=os.environ["REDIS_URL"], TIMEOUT=TTL)


def _peer_cache(**cache: Any) -> Settings:
    from whatsai import settings  # noqa: PLC0415 - the environment is made up by now

    return {"CACHES": {**settings.CACHES, "peer": cache}}


def _cacheops(*, is_local: bool = False) -> Settings:
    profile = {"ops": "all", "timeout": TTL, "local_get": is_local}
    # Keys of its own: what one of the two has loaded is not to be found by the other.
    own = {"CACHEOPS_PREFIX": lambda _query: "local:" if is_local else ""}
    return (
        _with_app("cacheops")
        | own
        | {"CACHEOPS_REDIS": os.environ["REDIS_URL"], "CACHEOPS": {"conversations.*": profile}}
    )


def _cachalot(cache: Callable[[], Settings]) -> Settings:
    return _with_app("cachalot") | cache() | {"CACHALOT_CACHE": "peer", "CACHALOT_TIMEOUT": TTL}


def _with_app(name: str) -> Settings:
    from whatsai import settings  # noqa: PLC0415 - as above

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
    Peer(OURS, Tier.LOCAL, "whatsai.Local", (*WHOLE, "value")),
    Peer(
        CACHEOPS_LOCAL,
        Tier.LOCAL,
        "orm.Orm",
        ("row", "threads", "replay", "seed"),
        "django-cacheops",
        lambda: _cacheops(is_local=True),
    ),
    Peer(LOCMEM, Tier.LOCAL, "django_cache.DjangoCache", (*WHOLE, "value"), settings=_locmem),
    Peer(CACHALOT_LOCAL, Tier.LOCAL, "orm.Orm", WHOLE, "django-cachalot", lambda: _cachalot(_locmem)),
    Peer(CACHE_MANAGER, Tier.LOCAL, "", ("value", "seed")),
    Peer(OURS_SHARED, Tier.SHARED, "whatsai.Shared", READS),
    Peer(OURS_UNSEEN, Tier.SHARED, "whatsai.Unseen", READS),
    Peer(DJANGO_REDIS, Tier.SHARED, "django_cache.DjangoCache", WHOLE, settings=_django_redis),
    Peer(CACHEOPS, Tier.SHARED, "orm.Orm", WHOLE, "django-cacheops", _cacheops),
    Peer(CACHALOT, Tier.SHARED, "orm.Orm", WHOLE, "django-cachalot", lambda: _cachalot(_django_redis)),
    Peer(GET, Tier.SHARED, "redis_py.Get", ("row", "threads"), is_floor=True),
    Peer(MGET, Tier.SHARED, "redis_py.Mget", READS, is_floor=True),
    Peer(ORM, Tier.DATABASE, "orm.Orm", WHOLE),
)
ALL_OURS = (OURS, OURS_SHARED, OURS_UNSEEN)
BY_NAME = {peer.name: peer for peer in PEERS}
