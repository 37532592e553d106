"""One connection that hears what is announced. Unlike redis-py's own it never reconnects by itself, in silence."""

from types import TracebackType
from typing import Any, Self

import redis


class RedisSubscription:
    """A subscription to one channel, from entering its context to leaving it."""

    def __init__(self, client: redis.Redis, channel: str) -> None:
        pool: Any = client.connection_pool
        # In the protocol's version 2 every answer on such a connection is a list that begins with its kind.
        self._connection = pool.connection_class(**{**pool.connection_kwargs, "protocol": 2, "retry": None})
        self._channel = channel

    def __enter__(self) -> Self:
        """Connect and subscribe.

        Raises:
            RedisError, OSError: that fails.
        """
        self._connection.connect()
        self._connection.send_command("SUBSCRIBE", self._channel)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        self._connection.disconnect()

    def ping(self, question: str) -> None:
        """Ask for an answer, which comes after all that was announced before (`pong`).

        Raises:
            RedisError, OSError: the connection is lost; likewise below.
        """
        self._connection.send_command("PING", question)

    def receive(self, timeout: float) -> tuple[str, bytes]:
        """Return the next answer, as its kind (`subscribe`, `message`, `pong`) and what it says; kind "" for none.

        Args:
            timeout: seconds to wait for it.
        """
        if not self._connection.can_read(timeout=timeout):
            return "", b""
        kind, *_, said = self._connection.read_response()
        return kind.decode(), said if isinstance(said, bytes) else b""
