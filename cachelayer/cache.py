"""The cache by hand: any value under a name, and the operators' controls.

A key's first word is its namespace, whose time to live it gets: `cache.set("conversations:digest:7", …)`. Values are
what msgpack can say, datetimes, decimals and the like included; each `get` returns one of its own.
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


def _values_of(key: str) -> _Values:
    """Return the values of a key's namespace, created at its first use."""
    namespace = runtime.namespaces.for_key(key)
    values = _by_namespace.get(namespace.name)
    if values is None:
        values = _by_namespace[namespace.name] = _Values(namespace)
    return values


# --- values -----------------------------------------------------------------------------------------------------------
def get(key: str, default: Any = None) -> Any:
    """Return the value, or `default` when there is none."""
    try:  # `LocalTier.get` by hand, as in `fetch` of the managers: a call is a fifth of a hit
        local = _by_namespace[key.partition(":")[0]].local
        entry = local.entries[key]
    except KeyError:
        return _get_beyond(key, default)
    now = monotonic()
    if now < entry.expires and now < local.valid_until:
        entry.used = True
        local.hits += 1
        return entry.load()
    return _get_beyond(key, default)


def _get_beyond(key: str, default: Any) -> Any:
    values = _values_of(key)
    entry = values.local.get(key)
    if entry is not None:
        return entry.load()
    value = values.reader.get(key, _wanted(key, values))
    return default if value is MISSING else value


def fetch(key: str, load: Callable[[], T], *, tags: tuple[str, ...] = ()) -> T:
    """Return the value, loaded when there is none, and valid until one of the tags is touched.

    Unlike a `get` followed by a `set` this never keeps what was loaded before a write and stored after it. The same key
    must always come with the same tags.

    Raises:
        UnknownNamespace: a tag belongs to none.
        Exception: whatever `load` raises.
    """
    values = _by_namespace.get(key.partition(":")[0]) or _values_of(key)
    entry = values.local.get(key)
    if entry is not None:
        return entry.load()  # type: ignore[no-any-return]  # what was stored under this key
    return values.reader.read(key, _wanted(key, values, tags), load, _may_fill)  # type: ignore[return-value]  # as above


def _may_fill() -> bool:
    return transactions.reads_committed_data(DEFAULT_DB_ALIAS)


def set(key: str, value: Any, ttl: float | None = None) -> None:  # noqa: A001 - the field's word for it
    """Store a value for `ttl` seconds (its namespace's unless given); what was there is gone, whatever happens.

    A value that is to live for no time is not stored, one that is to live for more than a year lives for one.

    Raises:
        NotCacheable: the value is of a type that has no encoding.
    """
    values = _values_of(key)
    ttl = values.namespace.ttl if ttl is None else min(ttl, MAX_TTL)
    if ttl < MIN_TTL or not values.reader.set(_wanted(key, values), value, ttl):
        delete(key)


def delete(key: str) -> None:
    """Remove a value."""
    touch(keys.value_key(_values_of(key).namespace, key))


# --- operators' controls ----------------------------------------------------------------------------------------------
def touch(*tags: str, using: str = DEFAULT_DB_ALIAS) -> None:
    """Announce a change that was made past the ORM: entries that depend on these tags are no longer valid.

    Inside a transaction it holds from now until the commit; it is best called before the change. Outside one it is to
    be called after the change.

    Raises:
        UnknownNamespace: a tag belongs to none.
    """
    transactions.begin(using, tags)


def clear(pattern: str) -> int:
    """Remove the entries whose name matches a glob, such as `conversations:instance:7*`; return how many.

    Looks at every key of the server: for operators, not for requests. Where this process has no cache of its own or
    the store is away, that is asked of those who have it, and 0 is returned.
    """
    cache = get_runtime()
    removed = 0
    try:
        removed = cache.store.remove(pattern)
        cache.store.announce(PATTERN + pattern)
    except (StoreDown, StoreFull):
        outbox.record(DEFAULT_DB_ALIAS, [PATTERN + pattern])
    if cache.bypasses_cache:
        outbox.record(DEFAULT_DB_ALIAS, [PATTERN + pattern])
    cache.evict_matching(pattern)
    log.info("Cache CLEAR pattern %s (%d keys)", pattern, removed)
    return removed


def clear_namespace(name: str) -> None:
    """Make everything in a namespace invalid, in one step however much that is.

    Raises:
        UnknownNamespace: there is none of that name.
    """
    touch(runtime.namespaces.for_tag(name).name)
    log.info("Cache CLEAR namespace %s", name)


def clear_all() -> None:
    """Make everything invalid, in one step."""
    touch(GLOBAL_TAG)
    log.info("Cache CLEAR all")


def on_migrated(using: str, **_signal: Any) -> None:
    """Make everything invalid: migrations and `flush` change rows past managers and signals (hears `post_migrate`)."""
    if outbox.table_exists(using):
        transactions.begin(using, (GLOBAL_TAG,))


def _wanted(key: str, values: _Values, tags: tuple[str, ...] = ()) -> EntryKey:
    tag, namespaces = keys.value_key(values.namespace, key), runtime.namespaces
    return EntryKey(tag, namespaces.expand((tag, *tags)))
