"""Django's ORM as it is; cacheops and cachalot answer the same calls where their apps are installed.

Our own cache is taken out of this process: its signals and what it has put around `save`.
"""

from collections.abc import Sequence
from typing import Any

from django.db.models import Model

from cachelayer import CachedModel
from cachelayer.orm import signals
from conversations.models import Conversation
from conversations.models.conversation import LATEST_FIRST
from tests.benchmarks.scene import Scene

PAGE = 50

signals.disconnect()
CachedModel.save_base = Model.save_base  # type: ignore[assignment,method-assign]


class Orm:
    """Reads from the database, each time as far as this side can tell."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def row(self, pk: int) -> Conversation:
        return Conversation.objects.get(pk=pk)

    def many(self, pks: Sequence[int]) -> dict[int, Conversation]:
        return Conversation.objects.in_bulk(pks)

    def page(self, instance: int) -> list[Conversation]:
        return list(Conversation.objects.filter(instance=instance, is_deleted=False).order_by(*LATEST_FIRST)[:PAGE])

    def save(self, row: Any) -> None:
        row.save()
