"""The manager through which rows are read: `fetch` may be answered from the cache, `get` is always the database's.

Everything that reads single rows, sets of rows or lists goes through the methods here. Only the manager of the model
itself is bound to the cache: one that is related to a row, or of another database, reads that database.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError
from django.db import models, router

from cachelayer.orm.querysets import CachedQuerySet
from cachelayer.protocol import keys
from cachelayer.protocol.entries import EntryKey
from cachelayer.protocol.tags import GLOBAL_TAG, Namespace
from cachelayer.read.reader import MISSING, Missing, Reader
from cachelayer.read.serializers import PageSerializer, RowSerializer
from cachelayer.runtime import runtime
from cachelayer.runtime.local_cache import LocalNamespace
from cachelayer.write import transactions
from conversations.db.keyset import Page, keyset_page

Row = TypeVar("Row", bound=models.Model)

MAX_ID = 2**63 - 1  # of a BigAutoField; `get` knows that there is nothing beyond it, `in_bulk` does not


class Binding:
    """How one model's rows are read through one service.

    `has_rows` says whether the namespace's rows are this model's; of another model it has lists only.
    """

    def __init__(
        self, model: type[models.Model], namespace: Namespace, now: runtime.CacheRuntime, *, has_rows: bool
    ) -> None:
        self.alias = router.db_for_write(model)
        row = RowSerializer(model, self.alias)
        self.namespace = namespace
        self.has_rows = has_rows
        self.tier = now.local.namespace(namespace)
        self.rows: Reader[Any] = Reader(now, namespace, row)
        self.lists: Reader[Page[Any]] = Reader(now, namespace, PageSerializer(row))

    def entry_key(self, pk: int) -> EntryKey:
        """Name one row and its tags."""
        tag = self.namespace.row_tag(pk)
        return EntryKey(tag, (tag, self.namespace.name, GLOBAL_TAG), self.namespace.insert_tag)

    def may_fill(self) -> bool:
        """Whether what is read now may be kept."""
        return transactions.reads_committed_data(self.alias)


_UNBOUND: Final = LocalNamespace(Namespace("", "", ttl=0, max_items=0))  # never has an entry


class FetchManager(models.Manager[Row]):
    """A manager with reads that say at the call site that they may be answered from a cache."""

    _binding: Binding | None = None
    _tier: LocalNamespace = _UNBOUND

    def bind(self, namespace: Namespace, *, has_rows: bool) -> None:
        """Read through the cache from now on."""
        runtime.follow(lambda now: self._bind(Binding(self.model, namespace, now, has_rows=has_rows)))

    def _bind(self, binding: Binding | None) -> None:
        self._binding = binding
        self._tier = binding.tier if binding is not None and binding.has_rows else _UNBOUND

    def db_manager(self, using: str | None = None, hints: dict[str, Any] | None = None) -> Any:
        """Return a manager of another database, which is not cached."""
        manager = super().db_manager(using, hints)
        manager._bind(None)  # noqa: SLF001 - a copy of our own class
        return manager

    # --- rows ---------------------------------------------------------------------------------------------------------
    def fetch(self, pk: int, *, fresh: bool = False) -> Row:
        """Return the row.

        Args:
            pk: its primary key.
            fresh: pass over the local tier, which may be behind other processes by the time of a message.

        Raises:
            Model.DoesNotExist: there is none.
        """
        tier = self._tier
        entry = tier.entries.get(pk)
        if entry is not None and not fresh:
            now = monotonic()
            if now < entry.expires and now < tier.valid_until:
                entry.used = True
                tier.hits += 1
                row: Row | Missing = entry.load()
                if row is not MISSING:
                    return row  # type: ignore[return-value]  # the only one of its class
                raise self._does_not_exist()
        return self._fetch_remote(pk)

    async def afetch(self, pk: int, *, fresh: bool = False) -> Row:
        """Return the row, from a coroutine; see `fetch`."""
        return await sync_to_async(self.fetch)(pk, fresh=fresh)

    def _fetch_remote(self, given: Any) -> Row:
        """Fetch what the local tier does not have."""
        binding = self._binding
        if binding is None or not binding.has_rows:
            return self.get(pk=given)
        pk = self._key(given)
        row = binding.rows.read(pk, binding.entry_key(pk), lambda: self._load(pk), binding.may_fill)
        if isinstance(row, Missing):
            raise self._does_not_exist()
        return cast("Row", row)

    def fetch_many(self, pks: Iterable[int], *, fresh: bool = False) -> dict[int, Row]:
        """Return the rows that exist, by primary key, in the order asked for."""
        wanted, binding = list(dict.fromkeys(pks)), self._binding
        # 2.0 is found where 2 is, and is another tag: no key may be anything but what the database gives.
        if not all(type(pk) is int for pk in wanted):
            wanted = list(dict.fromkeys(map(self._key, wanted)))
        if binding is None or not binding.has_rows:
            found: Mapping[Any, Row] = self._load_many(wanted)
        else:
            found = {} if fresh else self._local(wanted)
            rest = {pk: binding.entry_key(pk) for pk in wanted if pk not in found}
            if rest:
                found = {**found, **binding.rows.read_many(rest, self._load_many, binding.may_fill)}
        return {pk: row for pk in wanted if (row := found.get(pk, MISSING)) is not MISSING}  # type: ignore[misc]

    def _local(self, pks: Iterable[int]) -> dict[int, Any]:
        found = self._tier.get_many(pks)
        return {pk: entry.load() for pk, entry in found.items()}

    # --- lists --------------------------------------------------------------------------------------------------------
    def fetch_page(  # noqa: PLR0913 - what names a page
        self,
        tag: str,
        load: Callable[[], models.QuerySet[Row]],
        order: Sequence[str],
        *,
        cursor: str,
        limit: int,
        fresh: bool = False,
        **filters: object,
    ) -> Page[Row]:
        """Return one page of a list.

        Args:
            tag: what is touched when the list changes; the page's name begins with it.
            load: returns the rows, filtered and not yet ordered.
            order: see `pages.keyset_page`.
            cursor: see there.
            limit: see there.
            fresh: see `fetch`.
            filters: all that `load` depends on, beside the tag: other filters, another page.

        Raises:
            InvalidCursor: see `pages.keyset_page`.
        """
        key = (tag, *order, cursor, limit, *filters, *filters.values())
        return self._fetch_list(
            tag, key, lambda: keyset_page(self._primary(load()), order, cursor=cursor, limit=limit), fresh=fresh
        )

    def fetch_rows(self, tag: str, load: Callable[[], models.QuerySet[Row]], **filters: object) -> list[Row]:
        """Return the rows of a list that is short; see `fetch_page`."""
        return self._fetch_list(tag, (tag, *filters, *filters.values()), lambda: Page(list(self._primary(load())))).rows

    def _fetch_list(
        self, tag: str, key: tuple[object, ...], load: Callable[[], Page[Row]], *, fresh: bool = False
    ) -> Page[Row]:
        binding = self._binding
        if binding is None:
            return load()
        if not fresh and (entry := binding.tier.get(key)) is not None:
            return cast("Page[Row]", entry.load())
        wanted = EntryKey(keys.list_key(key), (tag, runtime.namespaces.for_tag(tag).name, GLOBAL_TAG))
        return cast("Page[Row]", binding.lists.read(key, wanted, load, binding.may_fill))

    # --- the database -------------------------------------------------------------------------------------------------
    def _primary(self, rows: models.QuerySet[Row]) -> models.QuerySet[Row]:
        """Read where writes go: a replica may be behind."""
        return rows if self._binding is None else rows.using(self._binding.alias)

    def _load(self, pk: int) -> Row | Missing:
        row = self._primary(self.all()).filter(pk=pk).first()
        return MISSING if row is None else row

    def _load_many(self, pks: Sequence[Any]) -> dict[Any, Row]:
        return self._primary(self.all()).in_bulk([pk for pk in pks if pk <= MAX_ID])

    def _key(self, given: Any) -> Any:
        """Return a primary key as the database gives it; what can be none raises what Django raises."""
        try:
            return self.model._meta.pk.to_python(given)  # noqa: SLF001 - Django's documented way to a field
        except ValidationError:
            return self.get(pk=given).pk

    def _does_not_exist(self) -> Exception:
        model: Any = self.model
        missing: Exception = model.DoesNotExist(f"{model.__name__} matching query does not exist.")
        return missing


if TYPE_CHECKING:

    class CachedManager(FetchManager[Row]):
        """See below."""

        def fast_bulk_create(self, rows: Sequence[Row]) -> None:
            """See `CachedQuerySet`."""

        def fast_bulk_update(self, rows: Sequence[Row], fields: Collection[str]) -> None:
            """See `CachedQuerySet`."""

else:

    class CachedManager(FetchManager.from_queryset(CachedQuerySet)):
        """The manager of a cached model: cache-first reads, and bulk writes that are announced."""

        def __class_getitem__(cls, _row: object) -> type:
            return cls
