"""The store on a Redis or Valkey server, by the connections that django-redis holds.

Before a connection is used for the first time, it vouches for its server (`_vouch`): a server that was restarted with
old data, or replaced by another, is recognised by its `run_id`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakSet

from django_redis import get_redis_connection

from cachelayer.protocol import messages
from cachelayer.protocol.keys import literal_prefixes, matches
from cachelayer.protocol.tags import GLOBAL_TAG, Namespaces
from cachelayer.stores import scripts
from cachelayer.stores.base import (
    INTENT_S,
    QUARANTINE,
    QUARANTINE_S,
    CountEvent,
    OnTouch,
    States,
    StoreDown,
    StoreEmptied,
    strip_fingerprint,
    token,
)
from cachelayer.stores.subscription import RedisSubscription
from cachelayer.stores.transport import RedisTransport, Script
from logs.contexts import Context

INTENT_MS = int(INTENT_S * 1000)
VERSION_MS = 2 * 60 * 60 * 1000  # longer than any entry lives; what is not asked for does not stay for ever
SCAN = 500  # keys a step

log = Context.CACHE.logger

_SCRIPTS = _BEGIN, _END, _TOUCH, _PUT, _RESTORE, _PROBE = tuple(
    map(Script, (scripts.BEGIN, scripts.END, scripts.TOUCH, scripts.PUT, scripts.RESTORE, scripts.PROBE))
)


class RedisStore:
    """See `Store`. Keys are `prefix:t:tag`, `prefix:e:entry`, `prefix:l:lease`, and `prefix:run`.

    Args:
        alias: the name of the cache in `CACHES`.
        prefix: what keys and the channel begin with; one for each database.
        sender: who announces, so that a process can tell its own announcements.
        namespaces: all there are.
        on_touch: called with the tags that this store announces.
        count: called with what happens seldom.
    """

    is_shared = True

    def __init__(  # noqa: PLR0913, PLR0917 - what a store is of
        self, alias: str, prefix: str, sender: str, namespaces: Namespaces, on_touch: OnTouch, count: CountEvent
    ) -> None:
        self._client = get_redis_connection(alias)
        self._prefix = prefix
        self._sender = sender
        self._namespaces = namespaces
        self._on_touch = on_touch
        self._tag_prefix = f"{prefix}:t:"
        self._entry_prefix = f"{prefix}:e:"
        self._run_key = f"{prefix}:run"
        self.channel = f"{prefix}:touched"
        self._transport = RedisTransport(self._client, _SCRIPTS, count)
        self._count = count
        self._known: WeakSet[Any] = WeakSet()  # connections that were used before

    def subscribe(self) -> RedisSubscription:
        """Return a way to hear what is announced."""
        return RedisSubscription(self._client, self.channel)

    def release_idle(self) -> None:
        """Hold no connections until there is something to ask."""
        self._transport.release_idle()

    # --- reading ------------------------------------------------------------------------------------------------------
    def read(self, entries: Sequence[str], tags: Sequence[str]) -> tuple[States, States]:
        """See `Store.read`."""
        keys = [self._entry_prefix + name for name in entries]
        keys += [self._tag_prefix + tag for tag in tags]
        values = self._transport.execute("MGET", *keys, self._run_key)
        if values.pop() is None:
            raise StoreEmptied("the server was emptied")
        return values[: len(entries)], values[len(entries) :]

    def claim_versions(self, tags: Sequence[str], lease: str, lease_ms: int) -> tuple[States, bool]:
        """See `Store.claim_versions`."""
        new = token()
        commands: list[tuple[Any, ...]] = [
            ("SET", self._tag_prefix + tag, new, "NX", "GET", *(("PX", life) if (life := self._ttl(tag)) else ()))
            for tag in tags
        ]
        if lease:
            commands.append(("SET", self._lease(lease), self._sender, "NX", "PX", lease_ms))
        answers = self._transport.pipeline(commands)
        states = [new if state is None else state for state in answers[: len(tags)]]
        return states, answers[-1] is not None if lease else True

    def fill(self, entries: Sequence[tuple[str, bytes, int]], lease: str) -> None:
        """See `Store.fill`."""
        commands: list[tuple[Any, ...]] = [
            ("SET", self._entry_prefix + name, data, "PX", ttl_ms) for name, data, ttl_ms in entries
        ]
        if lease:
            commands.append(("UNLINK", self._lease(lease)))
        self._transport.pipeline(commands)

    # --- writing ------------------------------------------------------------------------------------------------------
    def begin(self, write: bytes, tags: Sequence[str]) -> None:
        """See `Store.begin`."""
        self._run(_BEGIN, tags, write, INTENT_MS, self.channel, self._message(tags))
        self._on_touch(tags)

    def end(self, write: bytes, tags: Sequence[str]) -> None:
        """See `Store.end`."""
        arguments = (write, token(), self.channel, self._message(tags), *self._ttls(tags))
        self._transport.eval_no_reply(_END, [self._tag_prefix + tag for tag in tags], arguments)

    def touch(self, tags: Sequence[str]) -> None:
        """See `Store.touch`."""
        self._run(_TOUCH, tags, token(), self.channel, self._message(tags), *self._ttls(tags))
        self._on_touch(tags)

    def put(self, entry: str, head: bytes, payload: bytes, tags: Sequence[str], ttl_ms: int) -> None:
        """See `Store.put`."""
        keys = [self._entry_prefix + entry, *(self._tag_prefix + tag for tag in tags)]
        message = self._message(tags[:1])
        lives = [max(life, ttl_ms) if life else 0 for life in self._ttls(tags)]
        self._transport.eval(_PUT, keys, [token(), self.channel, message, head, payload, ttl_ms, *lives])
        self._on_touch(tags[:1])

    def reinitialize(self, *, quarantine: bool) -> bool:
        """See `Store.reinitialize`."""
        return _checked(self._transport.eval(_RESTORE, *self._restoring(quarantine=quarantine)))

    def check_writable(self) -> None:
        """See `Store.check_writable`; a server that became a replica, or cannot save, goes on answering reads."""
        self._transport.eval(_PROBE, [f"{self._prefix}:probe"], [self._sender])

    def remove(self, pattern: str) -> int:
        """See `Store.remove`."""
        removed = 0
        for names in self._scan(self._entry_prefix, pattern, strip_fingerprint):
            removed += self._transport.execute("UNLINK", *[self._entry_prefix + name for name in names])
        for tags in self._scan(self._tag_prefix, pattern, str):
            self.touch(tags)
        return removed

    def entry_names(self, pattern: str) -> Iterator[str]:
        """See `Store.entry_names`."""
        for names in self._scan(self._entry_prefix, pattern, strip_fingerprint):
            yield from names

    def announce(self, *words: str) -> None:
        """See `Store.announce`."""
        self._transport.execute("PUBLISH", self.channel, self._message(words))

    # --- one connection -----------------------------------------------------------------------------------------------
    def verify_connection(self, connection: Any) -> bool:
        """Restore by one connection, before it is used for anything else.

        Returns:
            Whether the server was a strange one.
        """
        if connection in self._known:
            self._count("reconnections")
            log.info("Cache connection made ANEW: the server had closed it")
        is_strange = _checked(self._transport.handshake(connection, _RESTORE, *self._restoring(quarantine=False)))
        self._transport.replay_pending(connection)
        self._known.add(connection)
        return is_strange

    def _restoring(self, *, quarantine: bool) -> tuple[list[str], list[Any]]:
        tags = (GLOBAL_TAG, *(namespace.name for namespace in self._namespaces))
        keys = [self._run_key, *(self._tag_prefix + tag for tag in tags)]
        message = self._message([GLOBAL_TAG])
        return keys, [token(), self.channel, message, int(QUARANTINE_S * 1000), QUARANTINE, int(quarantine)]

    # --- what is common -----------------------------------------------------------------------------------------------
    def _run(self, script: Script, tags: Sequence[str], *arguments: Any) -> Any:
        return self._transport.eval(script, [self._tag_prefix + tag for tag in tags], arguments)

    def _message(self, words: Sequence[str]) -> str:
        return messages.encode(self._sender, words)

    def _ttl(self, tag: str) -> int:
        """Milliseconds that a version of the tag lives; 0: for good, as a namespace's does."""
        return VERSION_MS if ":" in tag else 0

    def _ttls(self, tags: Sequence[str]) -> list[int]:
        return [self._ttl(tag) for tag in tags]

    def _lease(self, name: str) -> str:
        return f"{self._prefix}:l:{name}"

    def _scan(self, prefix: str, pattern: str, named: Callable[[str], str]) -> Iterator[list[str]]:
        """Yield keys whose name matches, without their prefix and some at a time: the whole server is looked through.

        Its globs are not Python's, so it is asked for no more than what names begin with.
        """
        for beginning in literal_prefixes(pattern):
            cursor: Any = 0
            while True:
                cursor, keys = self._transport.execute("SCAN", cursor, "MATCH", f"{prefix}{beginning}*", "COUNT", SCAN)
                found = [key.decode().removeprefix(prefix) for key in keys]
                if found := [key for key in found if matches(named(key), pattern)]:
                    yield found
                if int(cursor) == 0:
                    break


def _checked(answer: Any) -> bool:
    if isinstance(answer, bytes | str):
        raise StoreDown(f"the server is a {answer.decode() if isinstance(answer, bytes) else answer}")
    return bool(answer)
