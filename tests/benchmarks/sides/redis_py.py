"""What the way to the server costs by itself: the very keys that our reads ask for, fetched and left unread.

The server tells what those are (MONITOR), while this process reads through our managers once.
"""

import os
from collections.abc import Callable
from typing import Any

import redis

from cachelayer.runtime.runtime import runtime
from tests.benchmarks.scene import Scene
from tests.benchmarks.sides import whatsai


class Mget:
    """One MGET of all keys of a read: the entry and the tags that it depends on."""

    def __init__(self, scene: Scene) -> None:
        read = whatsai.Shared(scene)
        self._client: Any = redis.Redis.from_url(os.environ["REDIS_URL"])
        self._row_keys = {pk: self._asked(read.row, pk) for pk in scene.hot_rows}
        self._many_keys = self._asked(read.many, scene.hot_rows)
        self._page_keys = self._asked(read.page, scene.instance)
        runtime.use_configured_store()  # nothing of ours listens any more

    def _asked(self, read: Callable[[Any], object], what: Any) -> list[str]:
        """Return the keys of the MGET that a hit sends."""
        read(what)  # the first one fills
        with self._client.monitor() as monitor:
            read(what)
            while True:
                command: list[str] = monitor.next_command()["command"].split()
                if command[0] == "MGET":
                    return command[1:]

    def row(self, pk: int) -> Any:
        return self._client.mget(self._row_keys[pk])

    def many(self, _pks: list[int]) -> Any:
        return self._client.mget(self._many_keys)

    def page(self, _instance: int) -> Any:
        return self._client.mget(self._page_keys)


class Get(Mget):
    """One GET of the entry alone: what a cache that knows no versions would ask for."""

    def row(self, pk: int) -> Any:
        return self._client.get(self._row_keys[pk][0])
