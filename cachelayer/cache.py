"""The cache of plain values (`get`, `set`, `fetch`, `delete`), and its invalidation by hand (`touch`, `clear`).

The first word of a key selects the namespace, and with it the time to live: `cache.set("conversations:digest:7", …)`.
Values are of types that the codec can encode: those of msgpack, datetimes, decimals, sets and tuples. Each `get`
returns a copy of its own.
"""

from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS

from cachelayer.protocol import keys
from cachelayer.protocol.entries import EntryKey
from cachelayer.protocol.messages import PATTERN
from cachelayer.protocol.tags import GLOBAL_TAG, Namespace
from cachelayer.read.reader import MISSING, Reader
from cachelayer.read.serializers import ValueSerializer
from cachelayer.runtime.runtime import get_runtime, runtime
from cachelayer.stores.base import StoreDown, StoreFull
from cachelayer.write import outbox, transactions
from logs.contexts import Context

T = TypeVar("T")
MIN_TTL = 0.001  # seconds; likewise below
MAX_TTL = 365 * 24 * 60 * 60

log = Context.CACHE.logger


class _Values:
    """The values of one namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.local = runtime.local.namespace(namespace)
        self.reader: Reader[Any] = Reader(runtime, namespace, ValueSerializer())


_by_namespace: dict[str, _Values] = {}


def _values_for(key: str) -> _Values:
    """Return the values of a key's namespace, created at its first use."""
    namespace = runtime.namespaces.for_key(key)
    values = _by_namespace.get(namespace.name)
    if values is None:
        values = _by_namespace[namespace.name] = _Values(namespace)
    return values


# --- values -----------------------------------------------------------------------------------------------------------
def get(key: str, default: Any = None) -> Any:
    """Return the value, or `default` if there is none."""
    try:  # inlines `LocalNamespace.get`, as `FetchManager.fetch` does, because the call would take a fifth of a hit
        local = _by_namespace[key.partition(":")[0]].local
        entry = local.entries[key]
    except KeyError:
        return _get_remote(key, default)
    now = monotonic()
    if now < entry.expires and now < local.valid_until:
        entry.used = True
        local.hits += 1
        return entry.load()
    return _get_remote(key, default)


def _get_remote(key: str, default: Any) -> Any:
    """Get a value that `get` did not find in the local cache under the first word of its key."""
    values = _values_for(key)
    entry = values.local.get(key)
    if entry is not None:
        return entry.load()
    value = values.reader.get(key, _entry_key(key, values))
    return default if value is MISSING else value


def fetch(key: str, load: Callable[[], T], *, tags: tuple[str, ...] = ()) -> T:
    """Return the value; if there is none, load and cache it. Touching one of the tags invalidates it.

    A `get` followed by a `set` may store a value that a write has made obsolete in between; `fetch` never does. A key
    must always be fetched with the same tags.

    Raises:
        UnknownNamespace: a tag belongs to no namespace.
        Exception: whatever `load` raises.
    """
    values = _by_namespace.get(key.partition(":")[0]) or _values_for(key)
    entry = values.local.get(key)
    if entry is not None:
        return entry.load()  # type: ignore[no-any-return]  # the caller's `load` decides the type of this key's value
    return values.reader.read(key, _entry_key(key, values, tags), load, _may_fill)  # type: ignore[return-value]  # as above


def _may_fill() -> bool:
    return transactions.reads_committed_data(DEFAULT_DB_ALIAS)


def set(key: str, value: Any, ttl: float | None = None) -> None:  # noqa: A001 - the name that Django's caches use
    """Store a value. The value before is removed even if the new one cannot be stored.

    Args:
        key: the first word selects the namespace.
        value: of a type that the codec can encode.
        ttl: seconds, by default the namespace's. Less than a millisecond: nothing is stored. At most a year.

    Raises:
        NotCacheable: the value is of a type that has no encoding.
    """
    values = _values_for(key)
    ttl = values.namespace.ttl if ttl is None else min(ttl, MAX_TTL)
    if ttl < MIN_TTL or not values.reader.set(_entry_key(key, values), value, ttl):
        delete(key)


def delete(key: str) -> None:
    """Remove a value."""
    touch(keys.value_key(_values_for(key).namespace, key))


def _entry_key(key: str, values: _Values, tags: tuple[str, ...] = ()) -> EntryKey:
    tag, namespaces = keys.value_key(values.namespace, key), runtime.namespaces
    return EntryKey(tag, namespaces.expand((tag, *tags)))


# --- invalidation by hand ---------------------------------------------------------------------------------------------
def touch(*tags: str, using: str = DEFAULT_DB_ALIAS) -> None:
    """Invalidate the entries that depend on these tags, after a change that did not go through the ORM.

    Inside a transaction the tags stay invalid until the commit; call it before the change. Outside a transaction call
    it after the change.

    Raises:
        UnknownNamespace: a tag belongs to no namespace.
    """
    transactions.begin(using, tags)


def clear(pattern: str) -> int:
    """Remove the entries whose name matches a glob, such as `conversations:instance:7*`; return their number.

    Scans all keys of the server, so use it for administration, not in requests. If this process bypasses the cache or
    the store is away, the pattern goes into the outbox, and the result is 0.
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
    """Invalidate all entries of a namespace in one step, whatever their number.

    Raises:
        UnknownNamespace: no namespace has that name.
    """
    touch(runtime.namespaces.for_tag(name).name)
    log.info("Cache CLEAR namespace %s", name)


def clear_all() -> None:
    """Invalidate all entries in one step."""
    touch(GLOBAL_TAG)
    log.info("Cache CLEAR all")


def on_migrated(using: str, **_signal: Any) -> None:
    """Invalidate all entries, because migrations and `flush` bypass managers and signals (receiver of post_migrate)."""
    if outbox.table_exists(using):
        transactions.begin(using, (GLOBAL_TAG,))
