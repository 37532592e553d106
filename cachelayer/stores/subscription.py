"""A connection that is subscribed to the invalidation channel.

Unlike redis-py's `PubSub`, `RedisSubscription` never reconnects by itself, because the subscriber must learn that
invalidation messages may have been missed.
"""

from types import TracebackType
from typing import Any, Self

import redis


class RedisSubscription:
    """A subscription to one Redis channel, used as a context manager."""

    def __init__(self, client: redis.Redis, channel: str) -> None:
        pool: Any = client.connection_pool
        # In Redis protocol 2, each reply on a subscribed connection is a list that begins with the reply's kind.
        self._connection = pool.connection_class(**{**pool.connection_kwargs, "protocol": 2, "retry": None})
        self._channel = channel

    def __enter__(self) -> Self:
        """Connect to the server and subscribe to the channel.

        Raises:
            RedisError, OSError: connecting failed.
        """
        self._connection.connect()
        self._connection.send_command("SUBSCRIBE", self._channel)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        self._connection.disconnect()

    def ping(self, text: str) -> None:
        """See `Subscription.ping`.

        Raises:
            RedisError, OSError: the connection is lost.
        """
        self._connection.send_command("PING", text)

    def receive(self, timeout: float) -> tuple[str, bytes]:
        """See `Subscription.receive`.

        Raises:
            RedisError, OSError: the connection is lost.
        """
        if not self._connection.can_read(timeout=timeout):
            return "", b""
        match self._connection.read_response():
            case [bytes() as kind, *_, text]:
                return kind.decode(), text if isinstance(text, bytes) else b""
            case other:
                raise redis.exceptions.InvalidResponse(f"a {type(other).__name__} on a subscribed connection")
