"""Managers that can read from the cache: `fetch` may return a cached row, `get` always reads the database.

Only the model's own manager uses the cache. A related manager, or a manager for another database, always reads the
database.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError
from django.db import models, router

from cachelayer.orm.querysets import CachedQuerySet
from cachelayer.protocol import keys
from cachelayer.protocol.entries import EntryKey
from cachelayer.protocol.tags import GLOBAL_TAG, Namespace
from cachelayer.read.entry_store import MISSING, Missing
from cachelayer.read.page import Page
from cachelayer.read.reader import Reader
from cachelayer.read.serializers import PageSerializer, RowSerializer
from cachelayer.runtime.local_cache import LocalNamespace
from cachelayer.runtime.runtime import CacheRuntime, runtime
from cachelayer.write import transactions

Row = TypeVar("Row", bound=models.Model)

TRUSTED_TTL = 10.0  # seconds for which the local cache holds rows that decide about access
MAX_ID = 2**63 - 1  # the largest id of a BigAutoField; `get` handles larger numbers, `in_bulk` does not


OnLoaded = Callable[[models.Model], None]  # see `RowSerializer`


class Binding:
    """Connects the manager of one model to a namespace of the cache, with readers for rows and for lists.

    Attributes:
        has_rows: whether the namespace caches single rows of this model; otherwise only lists of its rows are cached.
    """

    def __init__(
        self,
        model: type[models.Model],
        namespace: Namespace,
        runtime: CacheRuntime,
        *,
        has_rows: bool,
        on_loaded: OnLoaded | None = None,
    ) -> None:
        self.alias = router.db_for_write(model)
        serializer = RowSerializer(model, self.alias, on_loaded)
        self.namespace = namespace
        self.has_rows = has_rows
        self.local = runtime.local.namespace(namespace)
        self.rows: Reader[Any] = Reader(runtime, namespace, serializer)
        pages = PageSerializer(serializer)
        self.lists: Reader[Page[Any]] = Reader(runtime, namespace, pages)
        self.trusted: Reader[Page[Any]] = Reader(runtime, namespace, pages, local_ttl=TRUSTED_TTL)

    def entry_key(self, pk: int) -> EntryKey:
        """Return the key and the tags of the cache entry of one row."""
        tag = self.namespace.row_tag(pk)
        return EntryKey(tag, (tag, self.namespace.name, GLOBAL_TAG), self.namespace.insert_tag)

    def may_fill(self) -> bool:
        """Tell whether rows that the database returns now may be cached."""
        return transactions.reads_committed_data(self.alias)


_UNBOUND: Final = LocalNamespace(Namespace("", "", ttl=0, max_items=0))  # a local cache that never holds an entry


class FetchManager(models.Manager[Row]):
    """A manager whose `fetch…` methods may return cached rows."""

    _binding: Binding | None = None
    _local: LocalNamespace = _UNBOUND

    def bind(self, namespace: Namespace, *, has_rows: bool, on_loaded: OnLoaded | None = None) -> None:
        """Let the `fetch…` methods of this manager read from the cache."""
        self._bind(Binding(self.model, namespace, runtime, has_rows=has_rows, on_loaded=on_loaded))

    def _bind(self, binding: Binding | None) -> None:
        self._binding = binding
        self._local = binding.local if binding is not None and binding.has_rows else _UNBOUND

    def db_manager(self, using: str | None = None, hints: dict[str, Any] | None = None) -> Any:
        """Return a manager for another database; the returned manager does not use the cache."""
        manager = super().db_manager(using, hints)
        manager._bind(None)  # noqa: SLF001 - `manager` is an object of this class
        return manager

    # --- rows ---------------------------------------------------------------------------------------------------------
    def fetch(self, pk: int, *, fresh: bool = False) -> Row:
        """Return the row with a primary key, from the cache if possible.

        Args:
            pk: the primary key.
            fresh: skip the local cache, which lags behind writes of other processes until an invalidation message
                arrives.

        Raises:
            Model.DoesNotExist: no row has this primary key.
        """
        local = self._local
        entry = local.entries.get(pk)
        if entry is not None and not fresh:
            now = monotonic()
            if now < entry.expires and now < local.quick_until:
                entry.used = True
                local.hits += 1
            else:
                entry = local.get(pk)
            if entry is not None:
                row: Row | Missing = entry.load()
                if row is not MISSING:
                    return row  # type: ignore[return-value]  # MISSING is the only instance of Missing
                raise self._does_not_exist()
        return self._fetch_remote(pk)

    async def afetch(self, pk: int, *, fresh: bool = False) -> Row:
        """Return the row with a primary key, as `fetch` does, but from a coroutine."""
        return await sync_to_async(self.fetch)(pk, fresh=fresh)

    def _fetch_remote(self, value: Any) -> Row:
        """Fetch a row from the shared store or the database, without the local cache."""
        binding = self._binding
        if binding is None or not binding.has_rows:
            return self.get(pk=value)
        pk = self._to_pk(value)
        row = binding.rows.read(pk, binding.entry_key(pk), lambda: self._load(pk), binding.may_fill)
        if isinstance(row, Missing):
            raise self._does_not_exist()
        return cast("Row", row)

    def fetch_many(self, pks: Iterable[int], *, fresh: bool = False) -> dict[int, Row]:
        """Return the existing rows with these primary keys, as a dict by primary key, in the order of `pks`."""
        unique, binding = list(dict.fromkeys(pks)), self._binding
        # The primary keys 2 and 2.0 are equal as dict keys, but give different tags. So primary keys are converted to
        # the type that the database returns.
        if not all(type(pk) is int for pk in unique):
            unique = list(dict.fromkeys(map(self._to_pk, unique)))
        if binding is None or not binding.has_rows:
            rows: Mapping[Any, Row] = self._load_many(unique)
        else:
            rows = {} if fresh else self._fetch_local(unique)
            rest = {pk: binding.entry_key(pk) for pk in unique if pk not in rows}
            if rest:
                rows = {**rows, **binding.rows.read_many(rest, self._load_many, binding.may_fill)}
        return {pk: row for pk in unique if (row := rows.get(pk, MISSING)) is not MISSING}  # type: ignore[misc]

    def _fetch_local(self, pks: Iterable[int]) -> dict[int, Any]:
        return {pk: entry.load() for pk, entry in self._local.get_many(pks).items()}

    # --- lists --------------------------------------------------------------------------------------------------------
    def fetch_list(
        self, tag: str, load: Callable[[], Page[Row]], *parameters: object, fresh: bool = False
    ) -> Page[Row]:
        """Return one page of a list of rows, from the cache if possible.

        Args:
            tag: the tag that a change of the list touches; the key of the cache entry begins with this tag.
            load: reads the page from the database (see `primary`).
            parameters: everything besides the tag that the result of `load` depends on: filters, order, cursor, limit.
            fresh: see `fetch`.
        """
        binding, key = self._binding, (tag, *parameters)
        if binding is None:
            return load()
        if not fresh and (entry := binding.local.get(key)) is not None:
            return cast("Page[Row]", entry.load())
        entry_key = EntryKey(keys.list_key(key), (tag, runtime.namespaces.for_tag(tag).name, GLOBAL_TAG))
        return cast("Page[Row]", binding.lists.read(key, entry_key, load, binding.may_fill))

    def fetch_rows(self, tag: str, load: Callable[[], models.QuerySet[Row]], **filters: object) -> list[Row]:
        """Return all rows of a short list, from the cache if possible.

        Args:
            tag: see `fetch_list`.
            load: returns the queryset of the rows.
            filters: everything besides the tag that the result of `load` depends on.
        """
        return self.fetch_list(tag, lambda: Page(list(self.primary(load()))), *filters, *filters.values()).rows

    def fetch_trusted(self, tag: str, load: Callable[[], models.QuerySet[Row]]) -> list[Row]:
        """Return all rows of a short list from the local cache or the database, never from the shared store.

        Use this method for rows that decide about access, because whoever can write to the Redis server can bring back
        old entries. The local cache holds the rows for about `TRUSTED_TTL` seconds.

        Args:
            tag: see `fetch_list`; no other method may use the same tag for a list.
            load: returns the queryset of the rows.
        """
        binding, key = self._binding, (tag,)
        if binding is None:
            return list(load())
        if (entry := binding.local.get(key)) is not None:
            return cast("Page[Row]", entry.load()).rows
        entry_key = EntryKey(keys.list_key(key), (tag, runtime.namespaces.for_tag(tag).name, GLOBAL_TAG))
        page = binding.trusted.read(key, entry_key, lambda: Page(list(self.primary(load()))), binding.may_fill)
        return cast("Page[Row]", page).rows

    # --- the database -------------------------------------------------------------------------------------------------
    def primary(self, rows: models.QuerySet[Row]) -> models.QuerySet[Row]:
        """Return the queryset on the database that receives the writes, because a replica may lag behind."""
        return rows if self._binding is None else rows.using(self._binding.alias)

    def _load(self, pk: int) -> Row | Missing:
        row = self.primary(self.all()).filter(pk=pk).first()
        return MISSING if row is None else row

    def _load_many(self, pks: Sequence[Any]) -> dict[Any, Row]:
        return self.primary(self.all()).in_bulk([pk for pk in pks if pk <= MAX_ID])

    def _to_pk(self, value: Any) -> Any:
        """Convert a value to the type of the primary key; for an invalid value, raise the error that `get` raises."""
        try:
            return self.model._meta.pk.to_python(value)  # noqa: SLF001 - Django documents _meta
        except ValidationError:
            return self.get(pk=value).pk

    def _does_not_exist(self) -> Exception:
        model: Any = self.model
        error: Exception = model.DoesNotExist(f"{model.__name__} matching query does not exist.")
        return error


if TYPE_CHECKING:

    class CachedManager(FetchManager[Row]):
        """The manager of a cached model, for mypy, which does not understand `from_queryset` of a generic class."""

else:

    class CachedManager(FetchManager.from_queryset(CachedQuerySet)):
        """The manager of a cached model: reads may use the cache, and bulk writes invalidate cached entries."""

        def __class_getitem__(cls, _row: object) -> type:
            return cls
