"""Sends commands to the Redis server over the connection pool of django-redis, with one round trip for each call.

The client of redis-py could do the same, but its overhead would take a third of the time of a hit in the shared store.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import redis
from redis import exceptions

from cachelayer.stores.base import CountEvent, StoreDown, StoreFull, StoreRefuses, StoreSlow
from logs.contexts import Context
from logs.fork import after_fork

# The number of round trips that may run at the same time; further threads wait. If a hundred threads connected at the
# same time, the server and the threads would be too busy to finish any round trip in time.
MAX_CONCURRENT = 8

T = TypeVar("T")
ScriptCall = tuple["Script", Sequence[str], Sequence[Any]]  # a Lua script, its keys and its arguments
log = Context.CACHE.logger


def encode_command(command: Sequence[str | bytes | int]) -> bytes:
    """Encode a Redis command in the protocol RESP (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    words = [word if type(word) is bytes else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


REPLY_ON = encode_command(("CLIENT", "REPLY", "ON"))
REPLY_SKIP = encode_command(("CLIENT", "REPLY", "SKIP"))  # tells the server not to reply to the next command


class Script:
    """A Lua script, and the SHA-1 digest by which the server knows the script."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def _encode_evalsha(script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> bytes:
    return encode_command(("EVALSHA", script.digest, len(keys), *keys, *arguments))


class RedisTransport:
    """Sends commands to a Redis server and reads the replies; reconnects once if the server closed the connection."""

    def __init__(self, client: redis.Redis, scripts: Sequence[Script], count: CountEvent) -> None:
        self._scripts = scripts
        self._pool: Any = client.connection_pool
        _pools.add(self._pool)
        # Idle connections taken from the pool, the most recently used at the end. Asking the pool for a connection at
        # each call would take a seventh of the time of a hit in the shared store.
        self._idle: list[Any] = []
        # The scripts that each connection sent without asking for a reply, since the last reply on the connection. If
        # the connection turns out to be closed, these scripts may not have run.
        self._unconfirmed: WeakKeyDictionary[Any, list[ScriptCall]] = WeakKeyDictionary()
        # The queue `_slots` serves as a semaphore, at a thirtieth of the cost of `threading.Semaphore`.
        self._slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(MAX_CONCURRENT):
            self._slots.put(None)
        self._count = count
        self._epoch = 0  # a number that is incremented when all connections must be closed
        self._has_loaded_scripts = False

    def release_idle(self) -> None:
        """Return idle connections to the connection pool."""
        with suppress(IndexError):
            while True:
                self._pool.release(self._idle.pop())

    def execute(self, *command: Any) -> Any:
        """Send one command and return its reply.

        Raises:
            StoreDown: the server does not answer, or replies with an error.
            StoreFull: the server has no memory for the command.
        """

        def send(connection: Any) -> Any:
            connection.send_packed_command([encode_command(command)])
            return connection.read_response()

        return self._with_connection(send)

    def pipeline(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send several commands in one round trip and return the replies. Raises the same errors as `execute`."""

        def send(connection: Any) -> list[Any]:
            connection.send_packed_command([b"".join(map(encode_command, commands))])
            return _raise_first_error([_read_reply(connection) for _ in commands])

        return self._with_connection(send)

    def eval(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a Lua script and return the script's reply. Raises the same errors as `execute`."""

        def send(connection: Any) -> Any:
            connection.send_packed_command([_encode_evalsha(script, keys, arguments)])
            try:
                return connection.read_response()
            except exceptions.NoScriptError:
                self._load_scripts(connection)
                connection.send_packed_command([_encode_evalsha(script, keys, arguments)])
                return connection.read_response()

        return self._with_connection(send)

    def eval_no_reply(self, script: Script, keys: Sequence[str], arguments: Sequence[Any], *, again: Script) -> None:
        """Run a Lua script without waiting for a reply; run `again` if the connection turns out to be closed.

        A thread's next command normally uses the same connection, and so runs after the script.

        Raises:
            StoreDown: the script cannot be sent.
        """

        def send(connection: Any) -> None:
            connection.send_packed_command([REPLY_SKIP + _encode_evalsha(script, keys, arguments)])
            self._unconfirmed.setdefault(connection, []).append((again, keys, arguments))

        self._with_connection(send, has_reply=False)

    def handshake(self, connection: Any, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Prepare a new connection: run a Lua script over the connection, and check that `eval_no_reply` can work.

        A script that is sent without asking for a reply cannot report that the server does not know the script, or that
        the Redis user may not run CLIENT REPLY.

        Raises:
            ResponseError: the server replies with an error.
        """
        if not self._has_loaded_scripts:
            self._load_scripts(connection)
        connection.send_packed_command([REPLY_ON + _encode_evalsha(script, keys, arguments)])
        replies = [_read_reply(connection), _read_reply(connection)]
        if isinstance(replies[1], exceptions.NoScriptError):
            self._load_scripts(connection)
            connection.send_packed_command([_encode_evalsha(script, keys, arguments)])
            replies[1] = _read_reply(connection)
        return _raise_first_error(replies)[1]

    def _load_scripts(self, connection: Any) -> None:
        connection.send_packed_command(
            [b"".join(encode_command(("SCRIPT", "LOAD", script.source)) for script in self._scripts)]
        )
        _raise_first_error([_read_reply(connection) for _ in self._scripts])
        self._has_loaded_scripts = True
        self._count("loaded scripts")
        log.info("Cache scripts LOADED")

    def replay_pending(self, connection: Any) -> None:
        """Send again the scripts that a connection sent, without asking for a reply, before the server closed it."""
        for script, keys, arguments in self._unconfirmed.pop(connection, ()):
            connection.send_packed_command([_encode_evalsha(script, keys, arguments)])
            _read_reply(connection)  # an error reply is ignored, because intents that are not released expire

    def _with_connection(self, send: Callable[[Any], T], *, has_reply: bool = True) -> T:
        """Call `send` with a connection and return the result of `send`."""
        slots = self._slots
        slots.get()
        try:
            epoch, connection = self._epoch, self._acquire()
            try:
                result = _call_with_reconnect(connection, send)
                if has_reply and self._unconfirmed:
                    self._unconfirmed.pop(connection, None)
                return result
            finally:
                if epoch != self._epoch:
                    connection.disconnect()
                self._idle.append(connection)
        except exceptions.RedisError as error:
            raise self._to_store_error(error) from error
        except OSError as error:
            raise StoreDown(f"{type(error).__name__}: {error}") from error
        finally:
            slots.put(None)

    def _acquire(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return self._pool.get_connection()

    def _to_store_error(self, error: exceptions.RedisError) -> StoreDown | StoreFull:
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, exceptions.OutOfMemoryError):
            return StoreFull(text)
        if isinstance(error, exceptions.TimeoutError):
            return StoreSlow(text)
        if isinstance(error, exceptions.ReadOnlyError):
            self._disconnect_all()
        is_reply = isinstance(error, exceptions.ResponseError) or isinstance(error.__cause__, StoreRefuses)
        return StoreRefuses(text) if is_reply else StoreDown(text)

    def _disconnect_all(self) -> None:
        """Close all connections: the server became a replica, so the address may lead to another server now.

        A connection that another thread is using is closed when the other thread has finished its call.
        """
        self._epoch += 1
        self.release_idle()
        self._pool.disconnect(inuse_connections=False)
        self._epoch += 1  # another thread may have taken an old connection before `disconnect`


def _call_with_reconnect(connection: Any, send: Callable[[Any], T]) -> T:
    """Call `send`; if the connection was closed, reconnect and call `send` again. No reply is left unread.

    redis-py checks for unread replies when its pool hands out a connection, but an unread reply may arrive after the
    check.
    """
    try:
        try:
            return send(connection)
        except exceptions.ConnectionError:
            connection.disconnect()
            return send(connection)
    except exceptions.ResponseError:
        raise  # the error reply has been read, so the connection stays usable
    except BaseException:
        connection.disconnect()
        raise


def _read_reply(connection: Any) -> Any:
    """Read one reply; return an error reply without raising it, so that the caller can read the next replies."""
    try:
        return connection.read_response()
    except exceptions.ResponseError as error:
        return error


def _raise_first_error(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, exceptions.ResponseError):
            raise reply
    return replies


_pools: WeakSet[Any] = WeakSet()


def _replace_pool_locks() -> None:
    """Give connection pools new locks in a forked child: a thread of the parent may have held the old locks."""
    for pool in list(_pools):
        pool._lock, pool._fork_lock = threading.RLock(), threading.RLock()  # noqa: SLF001 - no redis-py API for locks


after_fork(_replace_pool_locks)
