"""One round trip to the server, by a connection of django-redis' pool.

It does what redis-py's client does with a command, without what that does around it: a third of a hit's time.
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

# Threads that ask at once; others wait for their turn. A hundred that connect at one moment would keep each other, and
# the server, from answering in time.
AT_ONCE = 8

T = TypeVar("T")
Post = tuple["Script", Sequence[str], Sequence[Any]]
log = Context.CACHE.logger


def encode_command(command: Sequence[str | bytes | int]) -> bytes:
    """Write a command as the server reads it (RESP: https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    words = [word if type(word) is bytes else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


REPLY_ON = encode_command(("CLIENT", "REPLY", "ON"))
REPLY_SKIP = encode_command(("CLIENT", "REPLY", "SKIP"))  # no answer to the command after it


class Script:
    """A Lua script, known to the server by its digest."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def _evaluation(script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> bytes:
    return encode_command(("EVALSHA", script.digest, len(keys), *keys, *arguments))


class RedisTransport:
    """Sends commands and waits for their answers. A connection that the server has closed is made anew, once."""

    def __init__(self, client: redis.Redis, scripts: Sequence[Script], count: CountEvent) -> None:
        self._scripts = scripts
        self._pool: Any = client.connection_pool
        _pools.add(self._pool)
        # Taken from the pool and kept, the one used last at the end: asking it each time is a seventh of a hit's time.
        self._free: list[Any] = []
        # What was posted on each connection since its last answer: gone, should it turn out to be dead.
        self._posted: WeakKeyDictionary[Any, list[Post]] = WeakKeyDictionary()
        self._slots: SimpleQueue[None] = SimpleQueue()  # a semaphore, at a thirtieth of its price
        for _ in range(AT_ONCE):
            self._slots.put(None)
        self._count = count
        self._epoch = 0  # counts servers that were left
        self._has_loaded = False  # our scripts: all of them, at the first connection

    def release_idle(self) -> None:
        """Give the connections back that are not in use; others are taken when there is something to send."""
        with suppress(IndexError):
            while True:
                self._pool.release(self._free.pop())

    def execute(self, *command: Any) -> Any:
        """Send one command and return its answer.

        Raises:
            StoreDown: there is none, or the server refuses.
            StoreFull: it refuses for want of memory.
        """

        def once(connection: Any) -> Any:
            connection.send_packed_command([encode_command(command)])
            return connection.read_response()

        return self._with_connection(once)

    def pipeline(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send several commands at once and return their answers; see `call`."""

        def once(connection: Any) -> list[Any]:
            connection.send_packed_command([b"".join(map(encode_command, commands))])
            return _unless_refused([_answer(connection) for _ in commands])

        return self._with_connection(once)

    def eval(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a script and return its answer; see `call`."""

        def once(connection: Any) -> Any:
            connection.send_packed_command([_evaluation(script, keys, arguments)])
            try:
                return connection.read_response()
            except exceptions.NoScriptError:
                self._load_scripts(connection)
                connection.send_packed_command([_evaluation(script, keys, arguments)])
                return connection.read_response()

        return self._with_connection(once)

    def eval_no_reply(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> None:
        """Run a script without waiting for its answer. If the connection turns out to be dead it is run once more.

        Whatever this thread asks afterwards comes after it: the connection that was used last is the next one used.

        Raises:
            StoreDown: it cannot be sent.
        """

        def once(connection: Any) -> None:
            connection.send_packed_command([REPLY_SKIP + _evaluation(script, keys, arguments)])
            self._posted.setdefault(connection, []).append((script, keys, arguments))

        self._with_connection(once, is_answered=False)

    def handshake(self, connection: Any, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a script by a connection that is new, and make sure that the server will do what is posted on it.

        It would not say so if it did not: it may refuse to be silent, and it may not know a script.

        Raises:
            ResponseError: it refuses.
        """
        if not self._has_loaded:
            self._load_scripts(connection)
        connection.send_packed_command([REPLY_ON + _evaluation(script, keys, arguments)])
        answers = [_answer(connection), _answer(connection)]
        if isinstance(answers[1], exceptions.NoScriptError):
            self._load_scripts(connection)
            connection.send_packed_command([_evaluation(script, keys, arguments)])
            answers[1] = _answer(connection)
        return _unless_refused(answers)[1]

    def _load_scripts(self, connection: Any) -> None:
        connection.send_packed_command(
            [b"".join(encode_command(("SCRIPT", "LOAD", one.source)) for one in self._scripts)]
        )
        _unless_refused([_answer(connection) for _ in self._scripts])
        self._has_loaded = True
        self._count("loaded scripts")
        log.info("Cache scripts LOADED")

    def replay_pending(self, connection: Any) -> None:
        """Run what was posted on this connection before it was lost and made anew."""
        for script, keys, arguments in self._posted.pop(connection, ()):
            connection.send_packed_command([_evaluation(script, keys, arguments)])
            _answer(connection)  # an intent that is not ended expires

    def _with_connection(self, once: Callable[[Any], T], *, is_answered: bool = True) -> T:
        turns = self._slots
        turns.get()
        try:
            epoch, connection = self._epoch, self._acquire()
            try:
                answer = _in_step(connection, once)
                if is_answered and self._posted:
                    self._posted.pop(connection, None)
                return answer
            finally:
                if epoch != self._epoch:
                    connection.disconnect()
                self._free.append(connection)
        except exceptions.RedisError as error:
            raise self._as_ours(error) from error
        except OSError as error:
            raise StoreDown(f"{type(error).__name__}: {error}") from error
        finally:
            turns.put(None)

    def _acquire(self) -> Any:
        try:
            return self._free.pop()
        except IndexError:
            return self._pool.get_connection()

    def _as_ours(self, error: exceptions.RedisError) -> StoreDown | StoreFull:
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, exceptions.OutOfMemoryError):
            return StoreFull(text)
        if isinstance(error, exceptions.TimeoutError):
            return StoreSlow(text)
        if isinstance(error, exceptions.ReadOnlyError):
            self._reconnect_all()
        return StoreDown(text)

    def _reconnect_all(self) -> None:
        """Make every connection anew, for the server became a replica; those that are in use as they come back."""
        self._epoch += 1
        self.release_idle()
        self._pool.disconnect(inuse_connections=False)
        self._epoch += 1  # one may have been taken in between


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


def _unless_refused(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, exceptions.ResponseError):
            raise answer
    return answers


_pools: WeakSet[Any] = WeakSet()


def _in_child() -> None:
    """Give pools new locks: a thread that is gone may have held them, and redis-py takes them to start anew."""
    for pool in list(_pools):
        pool._lock, pool._fork_lock = threading.RLock(), threading.RLock()  # noqa: SLF001 - it has no way to say so


after_fork(_in_child)
