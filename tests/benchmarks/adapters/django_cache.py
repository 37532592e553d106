"""Adapter for Django's cache API, with LocMem or django-redis. Both backends pickle the cached rows and lists."""

from collections.abc import Sequence
from typing import Any

from django.core.cache import caches  # noqa: TID251 - the benchmark measures Django's cache API

from conversations.models import Conversation
from tests.benchmarks.adapters.orm import Orm
from tests.benchmarks.dataset import Dataset


class DjangoCache(Orm):
    """Cache-aside: a read that misses loads the row and caches it; a save deletes the cached row and list."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset)
        self._cache = caches["peer"]
        self._cache.set_many(dict.fromkeys(dataset.value_keys, dataset.value))
        self.value = self._cache.get

    def row(self, pk: int) -> Conversation:
        row: Conversation | None = self._cache.get(f"conversation:{pk}")
        if row is None:
            row = super().row(pk)
            self._cache.set(f"conversation:{pk}", row)
        return row

    def many(self, pks: Sequence[int]) -> dict[int, Conversation]:
        found = self._cache.get_many([f"conversation:{pk}" for pk in pks])
        rows = {row.pk: row for row in found.values()}
        missing = [pk for pk in pks if pk not in rows]
        if missing:
            loaded = super().many(missing)
            self._cache.set_many({f"conversation:{pk}": row for pk, row in loaded.items()})
            rows |= loaded
        return rows

    def page(self, instance: int) -> list[Conversation]:
        rows: list[Conversation] | None = self._cache.get(f"conversations:{instance}")
        if rows is None:
            rows = super().page(instance)
            self._cache.set(f"conversations:{instance}", rows)
        return rows

    def save(self, row: Any) -> None:
        row.save()
        self._cache.delete_many([f"conversation:{row.pk}", f"conversations:{row.instance_id}"])
