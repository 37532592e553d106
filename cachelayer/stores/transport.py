"""Sends commands to the server over connections of django-redis' pool, one round trip a call.

redis-py's client does the same, but with overhead that takes a third of the time of a shared hit.
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

from cachelayer.stores.base import CountEvent, StoreDown, StoreFull, StoreSlow
from logs.contexts import Context
from logs.fork import after_fork

# Round trips at the same time; other threads wait. If a hundred threads connected at once, the server and the threads
# would be too busy to answer any of them in time.
MAX_CONCURRENT = 8

T = TypeVar("T")
ScriptCall = tuple["Script", Sequence[str], Sequence[Any]]  # script, keys, arguments
log = Context.CACHE.logger


def encode_command(command: Sequence[str | bytes | int]) -> bytes:
    """Encode a command in RESP (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    words = [word if type(word) is bytes else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


REPLY_ON = encode_command(("CLIENT", "REPLY", "ON"))
REPLY_SKIP = encode_command(("CLIENT", "REPLY", "SKIP"))  # the server does not reply to the next command


class Script:
    """A Lua script and the digest by which the server knows it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def _encode_evalsha(script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> bytes:
    return encode_command(("EVALSHA", script.digest, len(keys), *keys, *arguments))


class RedisTransport:
    """Sends commands and reads their replies. If the server has closed a connection, it reconnects once."""

    def __init__(self, client: redis.Redis, scripts: Sequence[Script], count: CountEvent) -> None:
        self._scripts = scripts
        self._pool: Any = client.connection_pool
        _pools.add(self._pool)
        # Idle connections taken from the pool, the last used one at the end. To ask the pool at each call would take a
        # seventh of the time of a shared hit.
        self._idle: list[Any] = []
        # Scripts that were sent without a reply on a connection, and no reply has arrived on it since. If the
        # connection turns out to be closed, they may not have run.
        self._unconfirmed: WeakKeyDictionary[Any, list[ScriptCall]] = WeakKeyDictionary()
        self._slots: SimpleQueue[None] = SimpleQueue()  # a semaphore; a thirtieth of the cost of threading.Semaphore
        for _ in range(MAX_CONCURRENT):
            self._slots.put(None)
        self._count = count
        self._epoch = 0  # incremented when all connections must be closed
        self._has_loaded_scripts = False

    def release_idle(self) -> None:
        """Return idle connections to the pool."""
        with suppress(IndexError):
            while True:
                self._pool.release(self._idle.pop())

    def execute(self, *command: Any) -> Any:
        """Send one command and return its reply.

        Raises:
            StoreDown: the server does not answer, or replies with an error.
            StoreFull: the server has no memory for it.
        """

        def send(connection: Any) -> Any:
            connection.send_packed_command([encode_command(command)])
            return connection.read_response()

        return self._with_connection(send)

    def pipeline(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send several commands at once and return their replies. Raises the same errors as `execute`."""

        def send(connection: Any) -> list[Any]:
            connection.send_packed_command([b"".join(map(encode_command, commands))])
            return _raise_first_error([_read_reply(connection) for _ in commands])

        return self._with_connection(send)

    def eval(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a script and return its reply. Raises the same errors as `execute`."""

        def send(connection: Any) -> Any:
            connection.send_packed_command([_encode_evalsha(script, keys, arguments)])
            try:
                return connection.read_response()
            except exceptions.NoScriptError:
                self._load_scripts(connection)
                connection.send_packed_command([_encode_evalsha(script, keys, arguments)])
                return connection.read_response()

        return self._with_connection(send)

    def eval_no_reply(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> None:
        """Run a script without waiting for it. If its connection turns out to be closed, the script is sent again.

        The next command of this thread runs after the script, because it uses the same connection.

        Raises:
            StoreDown: the script cannot be sent.
        """

        def send(connection: Any) -> None:
            connection.send_packed_command([REPLY_SKIP + _encode_evalsha(script, keys, arguments)])
            self._unconfirmed.setdefault(connection, []).append((script, keys, arguments))

        self._with_connection(send, has_reply=False)

    def handshake(self, connection: Any, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Prepare a new connection: run a script on it, and check that `eval_no_reply` can work.

        A script that is sent without a reply cannot report that the server lacks it, or that the user must not run
        CLIENT REPLY.

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
        """Run the scripts that were sent without a reply on a connection before it was closed."""
        for script, keys, arguments in self._unconfirmed.pop(connection, ()):
            connection.send_packed_command([_encode_evalsha(script, keys, arguments)])
            _read_reply(connection)  # an error is ignored, because intents that are not released expire

    def _with_connection(self, send: Callable[[Any], T], *, has_reply: bool = True) -> T:
        """Call `send` with a connection and return its result."""
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
        return StoreDown(text)

    def _disconnect_all(self) -> None:
        """Close all connections, because the server became a replica and the address may lead to another server now.

        A connection that another thread is using is closed when that thread has finished with it.
        """
        self._epoch += 1
        self.release_idle()
        self._pool.disconnect(inuse_connections=False)
        self._epoch += 1  # another thread may have taken a connection in between


def _call_with_reconnect(connection: Any, send: Callable[[Any], T]) -> T:
    """Call `send`, once more after a reconnect if the connection was closed. No reply is left unread.

    redis-py checks for unread replies when it hands out a connection, but one may arrive later than that.
    """
    try:
        try:
            return send(connection)
        except exceptions.ConnectionError:
            connection.disconnect()
            return send(connection)
    except exceptions.ResponseError:
        raise  # the reply was read
    except BaseException:
        connection.disconnect()
        raise


def _read_reply(connection: Any) -> Any:
    """Read one reply; return an error instead of raising it, so that the caller reads the replies after it."""
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
    """Give the pools new locks in a forked child: another thread of the parent may have held the old ones."""
    for pool in list(_pools):
        pool._lock, pool._fork_lock = threading.RLock(), threading.RLock()  # noqa: SLF001 - redis-py has no API for it


after_fork(_replace_pool_locks)
