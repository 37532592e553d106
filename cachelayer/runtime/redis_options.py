"""The django-redis options that the cache needs: short time-outs, and a check of the server on each new connection.

A settings module imports this one, so nothing here may read settings at import.
"""

from typing import Any

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from cachelayer.runtime.runtime import get_runtime
from cachelayer.stores.base import StoreDown

TIMEOUT = 0.05  # seconds; a slower answer takes longer than the database


def on_connect(connection: Any) -> None:
    """Open a connection and check its server before anything is read from it (called by redis-py).

    Raises:
        RedisConnectionError: the server cannot be used.
    """
    connection.driver_info = None  # otherwise redis-py sends its name and version: two round trips
    connection.on_connect()
    try:
        get_runtime().verify_connection(connection)
    except StoreDown as error:
        raise RedisConnectionError(str(error)) from error


# redis-py reconnects once when the server has closed a connection; it does not repeat a request that timed out.
# Protocol version 3 is not used: with it redis-py hands out connections that still hold an unread answer.
REDIS_OPTIONS: dict[str, Any] = {
    "SOCKET_CONNECT_TIMEOUT": TIMEOUT,
    "SOCKET_TIMEOUT": TIMEOUT,
    "CONNECTION_POOL_KWARGS": {
        "protocol": 2,
        "redis_connect_func": on_connect,
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    },
}
