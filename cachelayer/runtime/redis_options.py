"""The django-redis options that the cache needs.

These are short time-outs, a check of the server on each new connection, and a serializer that cannot run code.

A Django settings module imports this module, so this module must not read settings while it is imported.
"""

from typing import Any

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from cachelayer.runtime.runtime import get_runtime
from cachelayer.stores.base import StoreDown

TIMEOUT = 0.05  # seconds; the database is faster than a Redis server that takes longer


def on_connect(connection: Any) -> None:
    """Open a connection to Redis and check the server before anything else is read. redis-py calls this function.

    Raises:
        RedisConnectionError: the Redis server cannot be used.
    """
    connection.driver_info = None  # saves two round trips in which redis-py would send its name and version
    connection.on_connect()
    try:
        get_runtime().verify_connection(connection)
    except StoreDown as error:
        raise RedisConnectionError(str(error)) from error


# Django's own cache may use the same server. By default, django-redis decodes values with pickle, so whoever can write
# to the server could run code in this process.
#
# With these options, redis-py connects again once if the server has closed a connection, and does not repeat a request
# that timed out. Version 3 of the Redis protocol is not used, because with version 3 redis-py reuses connections that
# still contain an unread answer.
REDIS_OPTIONS: dict[str, Any] = {
    "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
    "SOCKET_CONNECT_TIMEOUT": TIMEOUT,
    "SOCKET_TIMEOUT": TIMEOUT,
    "CONNECTION_POOL_KWARGS": {
        "protocol": 2,
        "redis_connect_func": on_connect,
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    },
}
