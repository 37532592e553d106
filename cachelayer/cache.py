"""Functions that cache plain values (`get`, `set`, `fetch`, `delete`) or invalidate cache entries (`touch`, `clear`).

The part of a cache key before its first colon selects the namespace, which sets the time to live. For example,
`cache.set("conversations:digest:7", …)` uses the namespace `conversations`. Values may be of the types of msgpack,
datetimes, decimals, sets and tuples. Each call of `get` returns a new copy of the value.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS

from cachelayer.protocol import keys
from cachelayer.protocol.entries import EntryKey
from cachelayer.protocol.messages import PATTERN
from cachelayer.protocol.tags import GLOBAL_TAG, Namespace
from cachelayer.read.entry_store import MISSING
from cachelayer.read.reader import Reader
from cachelayer.read.serializers import ValueSerializer
from cachelayer.runtime.runtime import get_runtime, runtime
from cachelayer.stores.base import StoreDown, StoreFull
from cachelayer.write import outbox, transactions
from logs.contexts import Context

T = TypeVar("T")
MIN_TTL = 0.001  # seconds; with a shorter time to live, `set` stores nothing
MAX_TTL = 365 * 24 * 60 * 60  # seconds; if `set` is called with a longer time to live, this one is used

log = Context.CACHE.logger


class _Values:
    """The reader and the local cache for the plain values of one namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.local = runtime.local.namespace(namespace)
        self.reader: Reader[Any] = Reader(runtime, namespace, ValueSerializer())


_by_namespace: dict[str, _Values] = {}


def _values_for(key: str) -> _Values:
    """Return the `_Values` object for the namespace of a cache key; create that object when it is first needed."""
    namespace = runtime.namespaces.for_key(key)
    values = _by_namespace.get(namespace.name)
    if values is None:
        values = _by_namespace[namespace.name] = _Values(namespace)
    return values


# --- values -----------------------------------------------------------------------------------------------------------
def get(key: str, default: Any = None) -> Any:
    """Return the cached value of a key, or `default` if no value is cached."""
    try:  # an inlined copy of `LocalNamespace.get`, because calling it would take a fifth of the time of a local hit
        local = _by_namespace[key.partition(":")[0]].local
        entry = local.entries[key]
    except KeyError:
        return _get_remote(key, default)
    now = monotonic()
    if now < entry.expires and now < local.quick_until:
        entry.used = True
        local.hits += 1
        return entry.load()
    return _get_remote(key, default)


def _get_remote(key: str, default: Any) -> Any:
    """Return a value that `get` did not find in the local cache, or `default` if no value is cached."""
    values = _values_for(key)
    entry = values.local.get(key)
    if entry is not None:
        return entry.load()
    value = values.reader.get(key, _entry_key(key, values))
    return default if value is MISSING else value


def fetch(key: str, load: Callable[[], T], *, tags: tuple[str, ...] = ()) -> T:
    """Return the cached value of a key; if no value is cached, call `load` and cache the result of `load`.

    Touching one of `tags` invalidates the value. A `get` followed by a `set` may store a value that a database write
    between the two calls has made obsolete; `fetch` never stores such a value.

    Args:
        key: the cache key.
        load: computes the value, usually from the database. Cached reads of `load` in this thread skip the local cache,
            which may lag behind other processes.
        tags: the tags that the value depends on. Every call of `fetch` with the same key must pass the same tags.

    Raises:
        UnknownNamespace: a tag belongs to no namespace.
        Exception: any exception that `load` raises.
    """
    values = _by_namespace.get(key.partition(":")[0]) or _values_for(key)
    entry = values.local.get(key)
    if entry is not None:
        return entry.load()  # type: ignore[no-any-return]  # the caller's `load` decides the type of the value
    # The reader returns MISSING only if `load` does, and `load` returns a T.
    return values.reader.read(key, _entry_key(key, values, tags), load, _may_fill)  # type: ignore[return-value]


def fetch_many(tags: Mapping[str, tuple[str, ...]], load: Callable[[Sequence[str]], Mapping[str, T]]) -> dict[str, T]:
    """Return the values of several keys of one namespace, as `fetch` does, by key.

    The shared store is asked once for all values that the local cache does not have, and `load` is called once at most.

    Args:
        tags: the tags that each value depends on, by cache key.
        load: computes the values of some keys; a value that does not exist is left out, also from the result.
    """
    if not tags:
        return {}
    values = _values_for(next(iter(tags)))
    found: dict[str, T] = {key: entry.load() for key, entry in values.local.get_many(tags).items()}
    rest = {key: _entry_key(key, values, tags[key]) for key in tags if key not in found}
    return found | values.reader.read_many(rest, load, _may_fill) if rest else found


def _may_fill() -> bool:
    return transactions.reads_committed_data(DEFAULT_DB_ALIAS)


def set(key: str, value: Any, ttl: float | None = None) -> None:  # noqa: A001 - Django's caches name this method `set`
    """Store a value under a cache key. The old value is removed even if the store rejects the new value.

    Args:
        key: the cache key; the part before its first colon selects the namespace.
        value: the value, of a type that `cachelayer.protocol.codec` can encode.
        ttl: the time to live in seconds, at most a year; by default the time to live of the namespace. With a
            time to live of less than a millisecond, nothing is stored.

    Raises:
        NotCacheable: `cachelayer.protocol.codec` cannot encode the value.
    """
    values = _values_for(key)
    ttl = values.namespace.ttl if ttl is None else min(ttl, MAX_TTL)
    if ttl < MIN_TTL or not values.reader.set(_entry_key(key, values), value, ttl):
        delete(key)


def delete(key: str) -> None:
    """Remove the cached value of a key."""
    touch(keys.value_key(_values_for(key).namespace, key))


def _entry_key(key: str, values: _Values, tags: tuple[str, ...] = ()) -> EntryKey:
    tag, namespaces = keys.value_key(values.namespace, key), runtime.namespaces
    return EntryKey(tag, namespaces.expand((tag, *tags)))


@contextmanager
def fresh() -> Iterator[None]:
    """Let this thread's reads inside the block skip the local cache, which may lag behind other processes."""
    with get_runtime().local.loading():
        yield


# --- invalidation by hand ---------------------------------------------------------------------------------------------
def touch(*tags: str, using: str = DEFAULT_DB_ALIAS) -> None:
    """Invalidate the entries that depend on these tags, for a database change that does not go through the ORM.

    Inside a transaction, call `touch` before the change; then no entry with these tags is used until the commit.
    Outside a transaction, call `touch` after the change.

    Raises:
        UnknownNamespace: a tag belongs to no namespace.
    """
    transactions.begin(using, tags)


def clear(pattern: str) -> int:
    """Remove the entries whose cache key matches a glob, and return how many entries were removed.

    An example of a glob is `conversations:instance:7*`. The function scans all keys of the Redis server, so it is meant
    for administration, not for requests. If this process bypasses the cache or the store does not answer, the glob is
    saved in the outbox for later, and the function returns 0.
    """
    current = get_runtime()
    removed = 0
    try:
        removed = current.store.remove(pattern)
        current.store.announce(PATTERN + pattern)
    except (StoreDown, StoreFull):
        outbox.record(DEFAULT_DB_ALIAS, [PATTERN + pattern])
    if current.bypasses_cache:
        outbox.record(DEFAULT_DB_ALIAS, [PATTERN + pattern])
    current.evict_matching(pattern)
    log.info("Cache CLEAR pattern %s (%d keys)", pattern, removed)
    return removed


def clear_namespace(name: str) -> None:
    """Invalidate all entries of a namespace in one step that takes the same time for any number of entries.

    Raises:
        UnknownNamespace: no namespace has that name.
    """
    touch(runtime.namespaces.for_tag(name).name)
    log.info("Cache CLEAR namespace %s", name)


def clear_all() -> None:
    """Invalidate all entries of all namespaces in one step."""
    touch(GLOBAL_TAG)
    log.info("Cache CLEAR all")


@contextmanager
def bypassed(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Let all processes read from the database until the block ends, and invalidate all entries.

    The block may change rows without the ORM, in several transactions. If this process dies inside the block, entries
    are used again 30 s later, and all of them are read anew. Without Redis, the server reads everything anew when the
    block begins and when it ends.
    """
    if not outbox.table_exists(using):
        yield  # the first `migrate` creates the outbox; nothing can be cached before
        return
    with transactions.bypassed(using, GLOBAL_TAG):
        yield


def on_migrated(using: str, **_signal: Any) -> None:
    """Invalidate all entries after code that sends `post_migrate` has changed rows without Django's managers."""
    if outbox.table_exists(using):
        transactions.begin(using, (GLOBAL_TAG,))
