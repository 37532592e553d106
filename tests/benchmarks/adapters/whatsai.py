"""Adapters for the project's own cache, which read through the model managers as a web process does."""

import time
from collections.abc import Callable

from cachelayer import cache
from cachelayer.read import serializers
from cachelayer.runtime.runtime import get_runtime
from conversations.models import Conversation
from tests.benchmarks.dataset import Dataset

READY_TIMEOUT = 10.0  # seconds


class Local:
    """Reads from the process's local cache if it contains the row, and otherwise from the shared store."""

    def __init__(self, dataset: Dataset) -> None:
        _await_cache()
        for key in dataset.value_keys:
            cache.set(key, dataset.value)
        self.row = Conversation.objects.fetch
        self.many = Conversation.objects.fetch_many
        self.page = Conversation.objects.for_instance
        self.save = Conversation.save
        self.value = cache.get

    def clear(self) -> dict[str, float]:
        """Clear the cache keys of one pattern; return the fraction of keys that were correctly removed or kept."""
        keys = {"instance:7:a": False, "instance:7:b": False, "instance:70:a": True, "instances:7:a": True, "7:a": True}
        for key in keys:
            cache.set(f"conversations:{key}", key)
        cache.clear("conversations:instance:7:*")
        correct = [(cache.get(f"conversations:{key}") == key) is kept for key, kept in keys.items()]
        return {"cleared": correct.count(True) / len(correct)}


class Shared:
    """Reads from the shared store (Valkey) and bypasses the local cache."""

    def __init__(self, _dataset: Dataset) -> None:
        _await_cache()

    def row(self, pk: int) -> Conversation:
        return Conversation.objects.fetch(pk, fresh=True)

    def many(self, pks: list[int]) -> dict[int, Conversation]:
        return Conversation.objects.fetch_many(pks, fresh=True)

    def page(self, instance: int) -> object:
        return Conversation.objects.for_instance(instance, fresh=True)


class Unseen(Shared):
    """Reads from the shared store without memoizing decoded rows, so that each read decodes the rows again."""

    def __init__(self, dataset: Dataset) -> None:
        serializers.MAX_ROW_BYTES = serializers.MAX_PAGE_BYTES = -1  # so that no row is memoized
        super().__init__(dataset)


def _await_cache() -> None:
    """Wait until the cache in this process is ready: it may read entries from Valkey, and it receives invalidations."""
    get_runtime().ensure_started()
    _await(lambda: get_runtime().local.valid_until > 0)
    _await(_stores_values)


def _stores_values() -> bool:
    cache.set("conversations:ready", True)  # noqa: FBT003 - True is the value to cache
    return bool(cache.get("conversations:ready"))


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("the cache did not become ready")
        time.sleep(0.05)
