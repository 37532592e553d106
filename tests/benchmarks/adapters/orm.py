"""Adapter for Django's plain ORM, which also measures cacheops and cachalot if one of their apps is installed.

Importing this module disables the project's cache in the process: the cache's Django signal receivers and `save`.
"""

from collections.abc import Sequence
from typing import Any

from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from cachelayer import CachedModel
from conversations.models import Conversation
from conversations.models.conversation import LATEST_FIRST
from tests.benchmarks.dataset import Dataset

PAGE = 50

for signal in (pre_save, post_save, pre_delete, post_delete):
    signal.receivers = []
    signal.sender_receivers_cache.clear()
del CachedModel._save_table  # noqa: SLF001 - lets Django's own method save rows, without write intents


class Orm:
    """Reads through the ORM: each call queries the database, unless cacheops or cachalot caches the query."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def row(self, pk: int) -> Conversation:
        return Conversation.objects.get(pk=pk)

    def many(self, pks: Sequence[int]) -> dict[int, Conversation]:
        return Conversation.objects.in_bulk(pks)

    def page(self, instance: int) -> list[Conversation]:
        return list(Conversation.objects.filter(instance=instance, is_deleted=False).order_by(*LATEST_FIRST)[:PAGE])

    def save(self, row: Any) -> None:
        row.save()
