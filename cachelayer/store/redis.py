"""The store on a Redis or Valkey server, by the connections that django-redis holds.

Before a connection is used for the first time, it vouches for its server (`_vouch`): a server that was restarted with
old data, or replaced by another, is recognised by its `run_id`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import redis
from django_redis import get_redis_connection
from redis import exceptions
from redis.commands.core import Script

from cachelayer.namespaces import ROOT, Namespaces
from cachelayer.store import scripts
from cachelayer.store.base import (
    INTENT_S,
    QUARANTINE,
    QUARANTINE_S,
    Listener,
    States,
    StoreDown,
    StoreFull,
    token,
)

VERSION_MS = 2 * 60 * 60 * 1000  # longer than any entry lives; what is not asked for does not stay for ever
SCAN = 500  # keys a step


class RedisStore:
    """See `Store`. Keys are `prefix:t:tag`, `prefix:e:entry`, `prefix:l:lease`, and `prefix:run`.

    Args:
        alias: the name of the cache in `CACHES`.
        prefix: what keys and the channel begin with; one for each database.
        sender: who announces, so that a process can tell its own announcements.
        namespaces: all there are.
        listener: called with the tags that this store announces.
    """

    def __init__(self, alias: str, prefix: str, sender: str, namespaces: Namespaces, listener: Listener) -> None:
        self._client: redis.Redis = get_redis_connection(alias)
        self._prefix = prefix
        self._sender = sender
        self._namespaces = namespaces
        self._listener = listener
        self._tag_prefix = f"{prefix}:t:"
        self._entry_prefix = f"{prefix}:e:"
        self.channel = f"{prefix}:touched"
        self._answers = _Answers(self._client)
        self._begin, self._end, self._touch, self._put, self._restore = map(
            self._client.register_script,
            (scripts.BEGIN, scripts.END, scripts.TOUCH, scripts.PUT, scripts.RESTORE),
        )

    @property
    def client(self) -> redis.Redis:
        """The client, for the subscription."""
        return self._client

    # --- reading ------------------------------------------------------------------------------------------------------
    def read(self, entries: Sequence[str], tags: Sequence[str]) -> tuple[States, States]:
        """See `Store.read`."""
        keys = [self._entry_prefix + name for name in entries]
        keys += [self._tag_prefix + tag for tag in tags]
        with self._answers:
            values = cast("States", self._client.execute_command("MGET", *keys))
        return values[: len(entries)], values[len(entries) :]

    def claim(self, tags: Sequence[str], lease: str, lease_ms: int) -> tuple[States, bool]:
        """See `Store.claim`."""
        new = token()
        with self._answers, self._client.pipeline(transaction=False) as pipeline:
            for tag in tags:
                pipeline.set(self._tag_prefix + tag, new, nx=True, get=True, px=self._life(tag) or None)
            if lease:
                pipeline.set(f"{self._prefix}:l:{lease}", self._sender, nx=True, px=lease_ms)
            answers = pipeline.execute()
        states = [new if state is None else state for state in answers[: len(tags)]]
        return states, bool(answers[-1]) if lease else True

    def fill(self, entries: Sequence[tuple[str, bytes, int]], lease: str) -> None:
        """See `Store.fill`."""
        with self._answers, self._client.pipeline(transaction=False) as pipeline:
            for name, data, ttl_ms in entries:
                pipeline.set(self._entry_prefix + name, data, px=ttl_ms)
            if lease:
                pipeline.unlink(f"{self._prefix}:l:{lease}")
            pipeline.execute()

    # --- writing ------------------------------------------------------------------------------------------------------
    def begin(self, write: bytes, tags: Sequence[str]) -> None:
        """See `Store.begin`."""
        self._run(self._begin, tags, write, int(INTENT_S * 1000), self.channel, self._message(tags))
        self._listener(tags)

    def end(self, write: bytes, tags: Sequence[str]) -> int:
        """See `Store.end`."""
        lost = self._run(self._end, tags, write, token(), self.channel, self._message(tags), *self._lives(tags))
        self._listener(tags)
        return int(lost)

    def touch(self, tags: Sequence[str]) -> None:
        """See `Store.touch`."""
        self._run(self._touch, tags, token(), self.channel, self._message(tags), *self._lives(tags))
        self._listener(tags)

    def put(self, entry: str, head: bytes, payload: bytes, tags: Sequence[str], ttl_ms: int) -> None:
        """See `Store.put`."""
        keys = [self._entry_prefix + entry, *(self._tag_prefix + tag for tag in tags)]
        message = self._message(tags[:1])
        with self._answers:
            self._put(keys, [token(), self.channel, message, head, payload, ttl_ms, *self._lives(tags)])
        self._listener(tags[:1])

    def restore(self, *, quarantine: bool) -> bool:
        """See `Store.restore`."""
        with self._answers:
            answer = self._restore(*self._restoring(quarantine=quarantine))
        return _checked(answer)

    def remove(self, pattern: str) -> int:
        """See `Store.remove`."""
        removed = 0
        with self._answers:
            for keys in _steps(self._keys(f"{self._entry_prefix}{pattern}@*")):
                removed += self._client.unlink(*keys)
            for keys in _steps(self._keys(self._tag_prefix + pattern)):
                self.touch([key.decode().removeprefix(self._tag_prefix) for key in keys])
        return removed

    def names(self, pattern: str) -> Iterator[str]:
        """See `Store.names`."""
        with self._answers:
            for key in self._keys(f"{self._entry_prefix}{pattern}@*"):
                yield key.decode().removeprefix(self._entry_prefix)

    def announce(self, *words: str) -> None:
        """Publish tags that were not touched by a script, or a word that is none."""
        with self._answers:
            self._client.publish(self.channel, self._message(words))

    # --- one connection -----------------------------------------------------------------------------------------------
    def vouch(self, connection: Any) -> bool:
        """Restore by one connection, before it is used for anything else.

        Returns:
            Whether the server was a strange one.
        """
        keys, arguments = self._restoring(quarantine=False)
        connection.send_command("EVAL", scripts.RESTORE, len(keys), *keys, *arguments)
        return _checked(connection.read_response())

    def _restoring(self, *, quarantine: bool) -> tuple[list[str], list[Any]]:
        tags = (ROOT, *(namespace.name for namespace in self._namespaces))
        keys = [f"{self._prefix}:run", *(self._tag_prefix + tag for tag in tags)]
        message = self._message([ROOT])
        return keys, [token(), self.channel, message, int(QUARANTINE_S * 1000), QUARANTINE, int(quarantine)]

    # --- what is common -----------------------------------------------------------------------------------------------
    def _run(self, script: Script, tags: Sequence[str], *arguments: Any) -> Any:
        with self._answers:
            return script([self._tag_prefix + tag for tag in tags], arguments)

    def _message(self, words: Sequence[str]) -> str:
        return "\n".join([self._sender, *words])

    def _life(self, tag: str) -> int:
        """Milliseconds that a version of the tag lives; 0: for good, as a namespace's does."""
        return VERSION_MS if ":" in tag else 0

    def _lives(self, tags: Sequence[str]) -> list[int]:
        return [self._life(tag) for tag in tags]

    def _keys(self, pattern: str) -> Iterator[bytes]:
        return cast("Iterator[bytes]", self._client.scan_iter(match=pattern, count=SCAN))


def _steps(keys: Iterable[bytes]) -> Iterator[list[bytes]]:
    step: list[bytes] = []
    for key in keys:
        step.append(key)
        if len(step) == SCAN:
            yield step
            step = []
    if step:
        yield step


def _checked(answer: Any) -> bool:
    if isinstance(answer, bytes | str):
        raise StoreDown(f"the server is a {answer.decode() if isinstance(answer, bytes) else answer}")
    return bool(answer)


class _Answers:
    """Turns the client's errors into the store's."""

    __slots__ = ("_client",)

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        if isinstance(error, exceptions.OutOfMemoryError):
            raise StoreFull(str(error)) from error
        if isinstance(error, exceptions.ReadOnlyError):
            # The server became a replica. Each connection is to find out for itself when it is made anew.
            self._client.connection_pool.disconnect()
        if isinstance(error, exceptions.RedisError | OSError):
            raise StoreDown(f"{type(error).__name__}: {error}") from error
