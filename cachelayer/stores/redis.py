"""The store on a Redis or Valkey server, which is reached over the connections of django-redis.

A server has an identity: its `run_id`, which a restart changes, and its replication id, which a promotion changes. The
script RESTORE compares the identity with the one saved in the store. The script runs on each new connection, before
anything is read from the connection, and several times a second in the heartbeat. So a process notices that the server
was restarted with old data, was a replica of another server, or is another server.
"""

from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any
from weakref import WeakSet

from django_redis import get_redis_connection

from cachelayer.protocol import answers, messages
from cachelayer.protocol.keys import literal_prefixes, matches
from cachelayer.protocol.seal import Seal
from cachelayer.protocol.tags import GLOBAL_TAG, Namespaces
from cachelayer.stores import scripts
from cachelayer.stores.base import (
    INTENT_S,
    QUARANTINE,
    QUARANTINE_S,
    CountEvent,
    Observe,
    OnTouch,
    States,
    StoreEmptied,
    StoreFull,
    StoreRefuses,
    StoreTampered,
    strip_fingerprint,
    token,
)
from cachelayer.stores.replies import MAX_VALUE_BYTES
from cachelayer.stores.subscription import RedisSubscription
from cachelayer.stores.transport import RedisTransport, Script
from logs.contexts import Context

INTENT_MS = int(INTENT_S * 1000)
VERSION_MS = 2 * 60 * 60 * 1000  # the time to live of a tag's version: longer than that of any namespace's entries
REJECTED_LOG_INTERVAL = 60.0  # seconds between two warnings in the log about entries without a valid seal
ADDED_BYTES = 2**16  # more than a seal and versions add to a value
SCAN_COUNT = 500  # about how many keys one SCAN call examines

log = Context.CACHE.logger

_SCRIPTS = _BEGIN, _END, _END_AGAIN, _TOUCH, _PUT, _RESTORE, _READ_ANSWER = tuple(
    map(
        Script,
        (
            scripts.BEGIN,
            scripts.END,
            scripts.END_AGAIN,
            scripts.TOUCH,
            scripts.PUT,
            scripts.RESTORE,
            scripts.READ_ANSWER,
        ),
    )
)


class RedisStore:
    """See `Store`. Redis keys: `prefix:t:tag`, `prefix:e:entry`, `prefix:l:lease`, `prefix:server`, `prefix:database`.

    The last two hold the identities of the Redis server and of the database.

    Args:
        alias: the name of the cache in `CACHES`.
        prefix: the first part of all Redis keys and of the channel's name; each Django database has its own prefix.
        sender: the id of this process, which is the first line of every invalidation message.
        namespaces: all registered namespaces.
        keys: the secret keys for `Seal`.
        on_touch: called with the tags that this store announces.
        count: counts a rare event, given the event's name.
        observe: receives the seconds that each round trip took, with the wait for a connection.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a store needs all these parameters
        self,
        alias: str,
        prefix: str,
        sender: str,
        namespaces: Namespaces,
        keys: Sequence[bytes],
        on_touch: OnTouch,
        count: CountEvent,
        observe: Observe | None = None,
    ) -> None:
        self._client = get_redis_connection(alias)
        self._prefix = prefix
        self._sender = sender
        self._namespaces = namespaces
        self._seal = Seal(keys)
        self._log_rejected_at = 0.0
        self._on_touch = on_touch
        self._tag_prefix = f"{prefix}:t:"
        self._entry_prefix = f"{prefix}:e:"
        self._server_key = f"{prefix}:server"
        self.channel = f"{prefix}:touched"
        self._transport = RedisTransport(self._client, _SCRIPTS, count, observe)
        self._count = count
        self._verified: WeakSet[Any] = WeakSet()  # connections that passed `verify_connection` before

    def subscribe(self) -> RedisSubscription:
        """See `Store.subscribe`."""
        return RedisSubscription(self._client, self.channel)

    def release_idle(self) -> None:
        """See `Store.release_idle`."""
        self._transport.release_idle()

    # --- reads --------------------------------------------------------------------------------------------------------
    def read(self, entries: Sequence[str], tags: Sequence[str]) -> tuple[States, States]:
        """See `Store.read`."""
        keys = [self._entry_prefix + name for name in entries]
        keys += [self._tag_prefix + tag for tag in tags]
        values = self._transport.get_strings([*keys, self._server_key])
        if values.pop() is None:
            raise StoreEmptied("the server was emptied")
        unseal = self._seal.open
        found = [None if value is None else unseal(name, value) for name, value in zip(entries, values, strict=False)]
        if None in found:
            self._count_rejected(found, values)
        return found, _check_states(values[len(entries) :])

    def claim_versions(self, tags: Sequence[str], lease: str, lease_ms: int) -> tuple[States, bool]:
        """See `Store.claim_versions`."""
        version = token()
        commands: list[tuple[Any, ...]] = [
            ("SET", self._tag_prefix + tag, version, "NX", *(("PX", ttl_ms) if (ttl_ms := _ttl_ms(tag)) else ()))
            for tag in tags
        ]
        if lease:
            commands.append(("SET", self._lease_key(lease), self._sender, "NX", "PX", lease_ms))
        replies, states = self._transport.set_and_get(commands, [self._tag_prefix + tag for tag in tags])
        return _check_states(states), replies[-1] is not None if lease else True

    def fill(self, entries: Sequence[tuple[str, bytes, int]], lease: str) -> None:
        """See `Store.fill`."""
        _check_size(*(len(data) for _, data, _ in entries))
        commands: list[tuple[Any, ...]] = [
            ("SET", self._entry_prefix + name, self._seal.seal(name, data), "PX", ttl_ms)
            for name, data, ttl_ms in entries
        ]
        if lease:
            commands.append(("UNLINK", self._lease_key(lease)))
        self._transport.pipeline(commands)

    def read_answer(self, name: str, etags: str, tags: Sequence[str]) -> tuple[bytes | None, bytes | None, States]:
        """See `Store.read_answer`."""
        keys = [self._server_key, self._entry_prefix + name, *(self._tag_prefix + tag for tag in tags)]
        arguments = [self._tag_prefix, etags, MAX_VALUE_BYTES]
        found = self._transport.eval_strings(_READ_ANSWER, keys, arguments, 3 + len(tags))
        server, sealed, content, *states = found
        if server is None:
            raise StoreEmptied("the server was emptied")
        _check_states(states)
        head = None if sealed is None else self._seal.open(name, sealed)
        if head is None:
            self._count_rejected([head], [sealed])
            return None, None, states
        return head, content, states

    def fill_answer(self, name: str, head: bytes, content: bytes, ttl_ms: int) -> None:
        """See `Store.fill_answer`."""
        _check_size(len(head) + len(content))
        answer = answers.join(self._seal.seal(name, head), content)
        self._transport.execute("SET", self._entry_prefix + name, answer, "PX", ttl_ms)

    # --- writes -------------------------------------------------------------------------------------------------------
    def begin(self, write_id: bytes, tags: Sequence[str]) -> None:
        """See `Store.begin`."""
        self._eval(_BEGIN, tags, write_id, INTENT_MS, self.channel, self._message(tags))
        self._on_touch(tags)

    def end(self, write_id: bytes, tags: Sequence[str], *, may_have_expired: bool = False, again: bool = False) -> None:
        """See `Store.end`."""
        keys = [self._tag_prefix + tag for tag in tags]
        arguments = (write_id, token(), self.channel, self._message(tags), *map(_ttl_ms, tags))
        if may_have_expired or again:
            self._transport.eval(_END_AGAIN if again else _END, keys, arguments)
        else:
            self._transport.post(_END, keys, arguments, again=_END_AGAIN)

    def touch(self, tags: Sequence[str]) -> None:
        """See `Store.touch`."""
        self._eval(_TOUCH, tags, token(), self.channel, self._message(tags), *map(_ttl_ms, tags))
        self._on_touch(tags)

    def put(self, entry: str, body: bytes, tags: Sequence[str], ttl_ms: int) -> None:
        """See `Store.put`. The versions of the entry's tags live at least as long as the entry.

        A value that is too large to be read again is not stored, but ends the one before it.
        """
        if is_too_large(len(body)):
            self.touch(tags[:1])
            return
        keys = [self._entry_prefix + entry, *(self._tag_prefix + tag for tag in tags)]
        message, sealed = self._message(tags[:1]), self._seal.seal_body(entry, body)
        tag_ttls_ms = [max(tag_ttl_ms, ttl_ms) if tag_ttl_ms else 0 for tag_ttl_ms in map(_ttl_ms, tags)]
        self._transport.eval(_PUT, keys, [token(), self.channel, message, sealed, ttl_ms, *tag_ttls_ms])
        self._on_touch(tags[:1])

    def reinitialize(self, *, quarantine: bool) -> bool:
        """See `Store.reinitialize`."""
        return _began_quarantine(self._transport.eval(_RESTORE, *self._restore_arguments(quarantine=quarantine)))

    def note_database(self, identity: str, previous: str) -> bool:
        """See `Store.note_database`. If this process dies before it saves the identity, the next one touches again."""
        key = f"{self._prefix}:database"
        (noted,) = self._transport.get_strings([key])
        if noted == identity.encode():
            return False
        has_changed = noted is not None or previous not in {"", identity}
        if has_changed:
            self.touch([GLOBAL_TAG])
        self._transport.execute("SET", key, identity)
        return has_changed

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

    # --- new connections ----------------------------------------------------------------------------------------------
    def verify_connection(self, connection: Any) -> bool:
        """See `Store.verify_connection`. Also reinitializes the store, and runs scripts again that may not have run."""
        if connection in self._verified:
            self._count("reconnections")
            log.info("Cache connection REOPENED: the server had closed it")
        reply = self._transport.handshake(connection, _RESTORE, *self._restore_arguments(quarantine=False))
        was_replaced = _began_quarantine(reply)
        self._verified.add(connection)
        return was_replaced

    def _restore_arguments(self, *, quarantine: bool) -> tuple[list[str], list[Any]]:
        """Return the keys and the arguments to pass to the Lua script RESTORE."""
        tags = (GLOBAL_TAG, *(namespace.name for namespace in self._namespaces))
        keys = [self._server_key, *(self._tag_prefix + tag for tag in tags)]
        message = self._message([GLOBAL_TAG])
        return keys, [token(), self.channel, message, int(QUARANTINE_S * 1000), QUARANTINE, int(quarantine)]

    def _count_rejected(self, found: States, values: States) -> None:
        """Count entries without a valid seal; their readers load the values from the database and replace them."""
        rejected = sum(entry is None and value is not None for entry, value in zip(found, values, strict=False))
        for _ in range(rejected):
            self._count("rejected entries")
        if rejected and monotonic() >= self._log_rejected_at:
            self._log_rejected_at = monotonic() + REJECTED_LOG_INTERVAL
            log.warning("Cache entry REJECTED: it was written by something else, or with another SECRET_KEY")

    # --- helpers ------------------------------------------------------------------------------------------------------
    def _eval(self, script: Script, tags: Sequence[str], *arguments: Any) -> Any:
        return self._transport.eval(script, [self._tag_prefix + tag for tag in tags], arguments)

    def _message(self, words: Sequence[str]) -> str:
        return messages.encode(self._sender, words)

    def _lease_key(self, name: str) -> str:
        return f"{self._prefix}:l:{name}"

    def _scan(self, prefix: str, pattern: str, to_name: Callable[[str], str]) -> Iterator[list[str]]:
        """Find keys with SCAN; yield in batches the names (keys without `prefix`) that match a pattern.

        Redis globs differ from Python globs. So the server compares only the literal start of the pattern, and this
        process matches the full pattern. Planted keys may be no text; what they are called here names no key.
        """
        for literal in literal_prefixes(pattern):
            cursor: Any = 0
            while True:
                glob = f"{prefix}{literal}*"
                cursor, keys = self._transport.execute("SCAN", cursor, "MATCH", glob, "COUNT", SCAN_COUNT)
                names = [key.decode(errors="replace").removeprefix(prefix) for key in keys]
                if matching := [name for name in names if matches(to_name(name), pattern)]:
                    yield matching
                if int(cursor) == 0:
                    break


def _check_states(states: States) -> States:
    """Return the states of tags.

    Raises:
        StoreTampered: one of them is larger than the intents of all writes together.
    """
    if any(state is not None and len(state) > scripts.MAX_STATE_BYTES for state in states):
        raise StoreTampered("the state of a tag is larger than any that is stored")
    return states


def _check_size(*sizes: int) -> None:
    """Check that values of these numbers of bytes can be read again.

    Raises:
        StoreFull: one of the values is too large.
    """
    if any(map(is_too_large, sizes)):
        raise StoreFull("a value is too large to be stored")


def is_too_large(size: int) -> bool:
    """Return whether a value of `size` bytes could not be read again."""
    return size + ADDED_BYTES > MAX_VALUE_BYTES


def _ttl_ms(tag: str) -> int:
    """Return the time to live of a tag's version in milliseconds; 0 for namespaces, whose versions do not expire."""
    return VERSION_MS if ":" in tag else 0


def _began_quarantine(reply: Any) -> bool:
    """Tell from the reply of the Lua script RESTORE whether a quarantine began.

    Raises:
        StoreRefuses: the reply is a string, the role of a server that is not a master.
    """
    if isinstance(reply, bytes | str):
        raise StoreRefuses(f"the server is a {reply.decode() if isinstance(reply, bytes) else reply}")
    return bool(reply)
