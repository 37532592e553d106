"""The options of django-redis that the cache needs: short time-outs, and a look at the server before it is used."""

from typing import Any

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

TIMEOUT = 0.05  # seconds; slower than that, the database is the quicker one


def on_connect(connection: Any) -> None:
    """Greet a server, and vouch for it before anything is read from it (called by redis-py)."""
    from cachelayer.runtime import runtime  # noqa: PLC0415 - the settings import this module, and a service reads the settings
    from cachelayer.stores.base import StoreDown  # noqa: PLC0415 - as above
    from cachelayer.stores.redis import RedisStore  # noqa: PLC0415 - as above

    connection.driver_info = None  # redis-py would introduce itself: two round trips
    connection.on_connect()
    now = runtime.current()
    if not isinstance(now.store, RedisStore):
        return
    try:
        is_strange = now.store.verify_server(connection)
    except StoreDown as error:
        raise RedisConnectionError(str(error)) from error
    if is_strange:
        now.on_store_replaced()


# A connection that the server has closed is made anew once; a server that is slow is not asked twice. In version 3 of
# the protocol redis-py hands out connections on which there is an answer that nobody has taken.
OPTIONS: dict[str, Any] = {
    "SOCKET_CONNECT_TIMEOUT": TIMEOUT,
    "SOCKET_TIMEOUT": TIMEOUT,
    "CONNECTION_POOL_KWARGS": {
        "protocol": 2,
        "redis_connect_func": on_connect,
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    },
}
