"""Our own side: the project's managers, as a process that serves has them."""

import time
from collections.abc import Callable

from cachelayer import cache
from cachelayer.read import serializers
from cachelayer.runtime.runtime import get_runtime
from conversations.models import Conversation
from tests.benchmarks.scene import Scene

READY_WITHIN = 10.0  # seconds


class Local:
    """Answered from this process while it can be."""

    def __init__(self, scene: Scene) -> None:
        _await_cache()
        for key in scene.value_keys:
            cache.set(key, scene.value)
        self.row = Conversation.objects.fetch
        self.many = Conversation.objects.fetch_many
        self.page = Conversation.objects.for_instance
        self.save = Conversation.save
        self.value = cache.get

    def clear(self) -> dict[str, float]:
        """Clear one instance's lists; return which share of the keys is there or gone as it should be."""
        keys = {"instance:7:a": False, "instance:7:b": False, "instance:70:a": True, "instances:7:a": True, "7:a": True}
        for key in keys:
            cache.set(f"conversations:{key}", key)
        cache.clear("conversations:instance:7:*")
        right = [(cache.get(f"conversations:{key}") == key) is stays for key, stays in keys.items()]
        return {"cleared": right.count(True) / len(right)}


class Shared:
    """Answered from the server: the local tier is passed over."""

    def __init__(self, _scene: Scene) -> None:
        _await_cache()

    def row(self, pk: int) -> Conversation:
        return Conversation.objects.fetch(pk, fresh=True)

    def many(self, pks: list[int]) -> dict[int, Conversation]:
        return Conversation.objects.fetch_many(pks, fresh=True)

    def page(self, instance: int) -> object:
        return Conversation.objects.for_instance(instance, fresh=True)


class Unseen(Shared):
    """As above, by a process that has never seen the rows: nothing that was decoded is remembered."""

    def __init__(self, scene: Scene) -> None:
        serializers.MAX_ROW_BYTES = serializers.MAX_PAGE_BYTES = -1  # no row is short enough, and no page
        super().__init__(scene)


def _await_cache() -> None:
    """Wait until this process believes the server, which is new to it, and hears what others announce."""
    get_runtime().ensure_started()
    _await(lambda: get_runtime().local.valid_until > 0)
    _await(_keeps_values)


def _keeps_values() -> bool:
    cache.set("conversations:ready", True)  # noqa: FBT003 - a value like any other
    return bool(cache.get("conversations:ready"))


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("the cache did not come up")
        time.sleep(0.05)
