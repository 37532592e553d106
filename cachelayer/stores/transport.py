"""Sends commands to the Redis server over the connection pool of django-redis, with one round trip for each call.

Redis replies carry no name of the command that they answer: the client counts. So `RedisTransport` asks for a reply to
every command, reads every reply, and ends every round trip with an ECHO of a number that it never sends again. If the
reply to the ECHO is another one, a reply was lost, inserted or repeated. Then no reply of the round trip is used, and
the connection is closed.

The client of redis-py could do the same, but its overhead would take a third of the time of a hit in the shared store.
"""

import hashlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from time import perf_counter
from typing import Any, TypeVar
from weakref import WeakSet

import redis
from redis import exceptions

from cachelayer.stores.base import (
    CountEvent,
    Observe,
    States,
    StoreDown,
    StoreFull,
    StoreRefuses,
    StoreSlow,
    StoreTampered,
)
from cachelayer.stores.replies import MisplacedReply, ValueTooLarge, read_replies
from logs.contexts import Context
from logs.fork import after_fork

# The number of round trips that may run at the same time; further threads wait. If a hundred threads connected at the
# same time, the server and the threads would be too busy to finish any round trip in time.
MAX_CONCURRENT = 8
MAX_POSTED = 64  # scripts posted on one connection before their replies are read
MAX_UNCONFIRMED = 1000  # scripts that may not have run; if there are more, the oldest do not run again

T = TypeVar("T")
ScriptCall = tuple["Script", Sequence[str], Sequence[Any]]  # a Lua script, its keys and its arguments
log = Context.CACHE.logger


def encode_command(command: Sequence[str | bytes | int]) -> bytes:
    """Encode a Redis command in the protocol RESP (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    words = [word if type(word) is bytes else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


class Script:
    """A Lua script, and the SHA-1 digest by which the server knows the script."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


_ECHO = b"*2\r\n$4\r\nECHO\r\n$16\r\n"  # the beginning of the command ECHO with a text of 16 bytes
_STRING_TYPES = frozenset((bytes, type(None)))  # the types of the values that MGET and SET return


def _encode_evalsha(script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> bytes:
    return encode_command(("EVALSHA", script.digest, len(keys), *keys, *arguments))


class RedisTransport:
    """Sends commands to a Redis server and reads the replies; reconnects once if the server closed the connection."""

    def __init__(
        self, client: redis.Redis, scripts: Sequence[Script], count: CountEvent, observe: Observe | None = None
    ) -> None:
        self._scripts = scripts
        self._pool: Any = client.connection_pool
        _pools.add(self._pool)
        # Idle connections taken from the pool, the most recently used at the end. Asking the pool for a connection at
        # each call would take a seventh of the time of a hit in the shared store.
        self._idle: list[Any] = []
        # The scripts that were posted on each connection and whose replies have not been read.
        self._posted: dict[Any, list[ScriptCall]] = {}
        # The scripts that were posted on a connection that was closed before their replies were read, or that failed.
        self._unconfirmed: deque[ScriptCall] = deque(maxlen=MAX_UNCONFIRMED)
        self._numbers = itertools.count(1)  # the numbers that the server echoes; `next` is atomic
        # The queue `_slots` serves as a semaphore, at a thirtieth of the cost of `threading.Semaphore`.
        self._slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(MAX_CONCURRENT):
            self._slots.put(None)
        self._count = count
        self._observe = observe or (lambda _seconds: None)
        self._epoch = 0  # a number that is incremented when all connections must be closed
        self._has_loaded_scripts = False

    def release_idle(self) -> None:
        """Return idle connections to the connection pool, without unread replies."""
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if connection in self._posted:
                    self._read_posted(connection)
                self._pool.release(connection)

    def _read_posted(self, connection: Any) -> None:
        """Read the replies to the scripts posted on a connection, whose next user must not receive these replies."""
        try:
            self._converse(connection, b"", 0)
        except (exceptions.RedisError, OSError):
            self._close(connection)

    def execute(self, *command: Any) -> Any:
        """Send one command and return its reply.

        Raises:
            StoreDown: the server does not answer, or replies with an error.
            StoreFull: the server has no memory for the command.
        """
        return self.pipeline([command])[0]

    def pipeline(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send several commands in one round trip and return the replies. Raises the same errors as `execute`."""
        packed, count = b"".join(map(encode_command, commands)), len(commands)
        return self._with_connection(lambda connection: _raise_first_error(self._converse(connection, packed, count)))

    def get_strings(self, keys: Sequence[str]) -> States:
        """Return the strings that the server has for keys, in one atomic step. Raises the same errors as `execute`."""
        packed, count = encode_command(("MGET", *keys)), len(keys)

        def send(connection: Any) -> States:
            (values,) = _raise_first_error(self._converse(connection, packed, 1))
            return _check_strings(values, count)

        return self._with_connection(send)

    def set_and_get(self, commands: Sequence[tuple[Any, ...]], keys: Sequence[str]) -> tuple[States, States]:
        """Send several commands SET, then MGET, in one round trip; return the replies to SET, and the strings.

        The option GET of SET would fail for a key of another type. Raises the same errors as `execute`.
        """
        reads = [("MGET", *keys)] if keys else []  # the server refuses MGET without keys
        packed = b"".join(map(encode_command, (*commands, *reads)))

        def send(connection: Any) -> tuple[States, States]:
            replies = _raise_first_error(self._converse(connection, packed, len(commands) + len(reads)))
            values = replies.pop() if keys else []
            return _check_strings(replies, len(commands)), _check_strings(values, len(keys))

        return self._with_connection(send)

    def eval(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a Lua script and return the script's reply. Raises the same errors as `execute`."""
        return self._with_connection(lambda connection: self._eval(connection, script, keys, arguments))

    def eval_strings(self, script: Script, keys: Sequence[str], arguments: Sequence[Any], count: int) -> States:
        """Run a Lua script that returns `count` strings, and return them. Raises the same errors as `execute`."""
        return self._with_connection(
            lambda connection: _check_strings(self._eval(connection, script, keys, arguments), count)
        )

    def post(self, script: Script, keys: Sequence[str], arguments: Sequence[Any], *, again: Script) -> None:
        """Run a Lua script without waiting for its reply; run `again` if the connection turns out to be closed.

        A thread's next command normally uses the same connection, and so runs after the script. The reply is read
        before the replies to that command.

        Args:
            script: the script.
            keys: the keys of the script.
            arguments: the arguments of the script.
            again: the script to run, with the same keys and arguments, if it is not certain that `script` has run.

        Raises:
            StoreDown: the script cannot be sent.
        """

        def send(connection: Any) -> None:
            if len(self._posted.get(connection, ())) >= MAX_POSTED:
                self._converse(connection, b"", 0)
            connection.send_packed_command([_encode_evalsha(script, keys, arguments)])
            self._posted.setdefault(connection, []).append((again, keys, arguments))

        self._with_connection(send)

    def handshake(self, connection: Any, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Prepare a new connection: run a Lua script over the connection, and return the script's reply.

        Raises:
            ResponseError: the server replies with an error.
        """
        self._unconfirmed += self._posted.pop(connection, ())  # another user of the pool has closed the connection
        if not self._has_loaded_scripts:
            self._load_scripts(connection)
        return self._eval(connection, script, keys, arguments)

    def _eval(self, connection: Any, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        return _raise_first_error([self._run(connection, script, keys, arguments)])[0]

    def _run(self, connection: Any, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a Lua script and return the script's reply, which may be an error."""
        packed = _encode_evalsha(script, keys, arguments)
        (reply,) = self._converse(connection, packed, 1)
        if isinstance(reply, exceptions.NoScriptError):
            self._load_scripts(connection)
            (reply,) = self._converse(connection, packed, 1)
        return reply

    def _run_unconfirmed(self, connection: Any) -> None:
        """Run the scripts again that may not have run. An error reply is ignored: intents that stay will expire."""
        with suppress(IndexError):
            while True:
                call = self._unconfirmed.popleft()
                try:
                    self._run(connection, *call)
                except BaseException:
                    self._unconfirmed.appendleft(call)
                    raise

    def _load_scripts(self, connection: Any) -> None:
        commands = [encode_command(("SCRIPT", "LOAD", script.source)) for script in self._scripts]
        _raise_first_error(self._converse(connection, b"".join(commands), len(commands)))
        self._has_loaded_scripts = True
        self._count("loaded scripts")
        log.info("Cache scripts LOADED")

    # --- one round trip -----------------------------------------------------------------------------------------------
    def _converse(self, connection: Any, commands: bytes, count: int) -> list[Any]:
        """Send `count` encoded commands, and return their replies once it is certain that these are their replies.

        Raises:
            MisplacedReply: the replies are not those to these commands.
            ResponseError: the server replied with an error to the ECHO, so nothing is certain.
        """
        number = b"%016x" % next(self._numbers)
        connection.send_packed_command([commands + _ECHO + number + b"\r\n"])
        posted = self._posted.get(connection, ())
        *replies, echo = read_replies(connection, len(posted) + count + 1)
        if echo != number:
            self._close(connection)
            if isinstance(echo, exceptions.ResponseError):
                _raise_first_error([*replies, echo])
            raise MisplacedReply("the server echoed another number")
        if posted:
            self._confirm(connection, replies[: len(posted)])
        return replies[len(posted) :]

    def _confirm(self, connection: Any, replies: list[Any]) -> None:
        """Forget the scripts posted on a connection, unless one of them has failed.

        Raises:
            ConnectionError: a script has failed, so the scripts must run again before the next command.
        """
        for reply in replies:
            if isinstance(reply, exceptions.ResponseError):
                raise exceptions.ConnectionError(f"a posted script failed: {reply}")
        del self._posted[connection]

    def _with_connection(self, send: Callable[[Any], T]) -> T:
        """Call `send` with a connection and return the result of `send`."""
        slots, started = self._slots, perf_counter()
        slots.get()
        try:
            epoch, connection = self._epoch, self._acquire()
            try:
                return self._call_with_reconnect(connection, send)
            finally:
                if epoch != self._epoch:
                    self._close(connection)
                self._idle.append(connection)
        except exceptions.RedisError as error:
            raise self._to_store_error(error) from error
        except OSError as error:
            raise StoreDown(f"{type(error).__name__}: {error}") from error
        finally:
            slots.put(None)
            self._observe(perf_counter() - started)

    def _call_with_reconnect(self, connection: Any, send: Callable[[Any], T]) -> T:
        """Call `send`; if the connection was closed or had to be, reconnect and call `send` again.

        No reply is left unread: after any other error than one that the server replied, the connection is closed.
        """
        try:
            try:
                return self._call(connection, send)
            except exceptions.ConnectionError as error:
                self._close(connection, error)
                return self._call(connection, send)
        except exceptions.ResponseError:
            raise  # the error reply has been read, so the connection stays usable
        except BaseException as error:
            self._close(connection, error)
            raise

    def _call(self, connection: Any, send: Callable[[Any], T]) -> T:
        if self._unconfirmed:
            self._run_unconfirmed(connection)
        return send(connection)

    def _close(self, connection: Any, error: BaseException | None = None) -> None:
        """Close a connection; the scripts posted on it may not have run."""
        connection.disconnect()
        self._unconfirmed += self._posted.pop(connection, ())
        if isinstance(error, MisplacedReply):
            self._count("misplaced replies")
            log.warning("Cache connection DROPPED: a reply did not belong to its command: %s", error)

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
        if isinstance(error, ValueTooLarge):
            return StoreTampered(str(error))
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


def _check_strings(values: Any, count: int) -> States:
    """Return `values` if it is a list of `count` strings or None; otherwise the server has answered something else."""
    if type(values) is not list or len(values) != count or not _STRING_TYPES.issuperset(map(type, values)):
        raise MisplacedReply(f"not a list of {count} strings")
    return values


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
