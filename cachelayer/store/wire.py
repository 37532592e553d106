"""One round trip to the server, by a connection of django-redis' pool.

It does what redis-py's client does with a command, without what that does around it: a third of a hit's time.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import redis
from redis import exceptions

from cachelayer.store.base import StoreDown, StoreFull, StoreSlow

T = TypeVar("T")
Post = tuple["Script", Sequence[str], Sequence[Any]]


def packed(command: Sequence[str | bytes | int]) -> bytes:
    """Write a command as the server reads it (RESP: https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


_SILENTLY = packed(("CLIENT", "REPLY", "SKIP"))  # no answer to the command after it


class Script:
    """A Lua script, known to the server by its digest."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class Wire:
    """Sends commands and waits for their answers. A connection that the server has closed is made anew, once."""

    def __init__(self, client: redis.Redis, scripts: Sequence[Script]) -> None:
        self._scripts = scripts
        self._pool: Any = client.connection_pool
        # What was posted on each connection since its last answer: gone, should it turn out to be dead.
        self._posted: WeakKeyDictionary[Any, list[Post]] = WeakKeyDictionary()

    def call(self, *command: Any) -> Any:
        """Send one command and return its answer.

        Raises:
            StoreDown: there is none, or the server refuses.
            StoreFull: it refuses for want of memory.
        """

        def once(connection: Any) -> Any:
            connection.send_packed_command([packed(command)])
            return connection.read_response()

        return self._with_connection(once)

    def call_all(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send several commands at once and return their answers; see `call`."""

        def once(connection: Any) -> list[Any]:
            connection.send_packed_command([b"".join(map(packed, commands))])
            answers = [_answer(connection) for _ in commands]
            for answer in answers:
                if isinstance(answer, exceptions.ResponseError):
                    raise answer
            return answers

        return self._with_connection(once)

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a script and return its answer; see `call`."""

        def once(connection: Any) -> Any:
            connection.send_packed_command([packed(("EVALSHA", script.digest, len(keys), *keys, *arguments))])
            try:
                return connection.read_response()
            except exceptions.NoScriptError:
                self.greet(connection)
                connection.send_packed_command([packed(("EVALSHA", script.digest, len(keys), *keys, *arguments))])
                return connection.read_response()

        return self._with_connection(once)

    def post(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> None:
        """Run a script without waiting for its answer. If the connection turns out to be dead it is run once more.

        Whatever this thread asks afterwards comes after it: the pool hands out the connection that was used last.

        Raises:
            StoreDown: it cannot be sent.
        """

        def once(connection: Any) -> None:
            connection.send_packed_command(
                [_SILENTLY + packed(("EVALSHA", script.digest, len(keys), *keys, *arguments))]
            )
            self._posted.setdefault(connection, []).append((script, keys, arguments))

        self._with_connection(once, is_answered=False)

    def greet(self, connection: Any) -> None:
        """Make sure that the server will do what is posted, for it would not say so if it did not.

        Raises:
            ResponseError: it refuses a command.
        """
        words = [("CLIENT", "REPLY", "ON"), *(("SCRIPT", "LOAD", script.source) for script in self._scripts)]
        connection.send_packed_command([b"".join(map(packed, words))])
        for answer in [_answer(connection) for _ in words]:
            if isinstance(answer, exceptions.ResponseError):
                raise answer

    def made_anew(self, connection: Any) -> None:
        """Run again, by another connection, what was posted on this one before it was lost."""
        for post in self._posted.pop(connection, ()):
            with suppress(StoreDown, StoreFull):  # an intent that is not ended expires
                self.run(*post)

    def _with_connection(self, once: Callable[[Any], T], *, is_answered: bool = True) -> T:
        pool = self._pool
        try:
            connection = pool.get_connection()
            try:
                answer = _in_step(connection, once)
                if is_answered and self._posted:
                    self._posted.pop(connection, None)
                return answer
            finally:
                pool.release(connection)
        except exceptions.RedisError as error:
            raise self._as_ours(error) from error
        except OSError as error:
            raise StoreDown(f"{type(error).__name__}: {error}") from error

    def _as_ours(self, error: exceptions.RedisError) -> StoreDown | StoreFull:
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, exceptions.OutOfMemoryError):
            return StoreFull(text)
        if isinstance(error, exceptions.TimeoutError):
            return StoreSlow(text)
        if isinstance(error, exceptions.ReadOnlyError):
            # The server became a replica. Each connection is to find out for itself, when it is made anew.
            self._pool.disconnect()
        return StoreDown(text)


def _in_step(connection: Any, once: Callable[[Any], T]) -> T:
    """Send and read by one connection, made anew once; it is left with no answer that the next would take for its own.

    redis-py looks for such answers when it hands a connection out, but one may still be on its way then.
    """
    try:
        try:
            return once(connection)
        except exceptions.ConnectionError:
            connection.disconnect()
            return once(connection)
    except exceptions.ResponseError:
        raise  # an answer, too
    except BaseException:
        connection.disconnect()
        raise


def _answer(connection: Any) -> Any:
    """Read one answer; an error among several is one of them, or those after it would be taken for others'."""
    try:
        return connection.read_response()
    except exceptions.ResponseError as error:
        return error
