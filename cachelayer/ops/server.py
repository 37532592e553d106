"""Facts about the server of the shared store, for operators."""

import time
from dataclasses import dataclass

from django_redis import get_redis_connection
from redis.exceptions import RedisError

from cachelayer.conf import Options
from cachelayer.stores.base import StoreDown


@dataclass(frozen=True)
class StoreServer:
    """The server of the shared store.

    Attributes:
        name: the program and its version.
        max_bytes: how much memory it may take; 0 if that is not limited.
        eviction_policy: its `maxmemory-policy`.
        used_bytes: how much memory it takes.
        ahead: by how many seconds its clock is ahead of the clock of this host.
    """

    name: str
    max_bytes: int
    eviction_policy: str
    ahead: float
    used_bytes: int = 0


def read() -> StoreServer | None:
    """Return facts about the server; None if the cache is in the memory of a process.

    Raises:
        StoreDown: the server does not answer.
    """
    if not Options.read().is_shared:
        return None
    try:
        client = get_redis_connection()
        info = client.info()
        asked_at = time.time()
        seconds, microseconds = client.time()
    except RedisError as error:
        raise StoreDown(str(error)) from error
    return StoreServer(
        name=f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}",
        max_bytes=info["maxmemory"],
        eviction_policy=info["maxmemory_policy"],
        ahead=seconds + microseconds / 1e6 - (asked_at + time.time()) / 2,
        used_bytes=info["used_memory"],
    )
