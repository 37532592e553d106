"""Baselines: request the keys that the project's reads request, without decoding the values.

The keys come from the server's MONITOR output while this process reads through the project's managers once.
"""

import os
from collections.abc import Callable
from typing import Any

import redis

from cachelayer.runtime.runtime import runtime
from tests.benchmarks.adapters import whatsai
from tests.benchmarks.dataset import Dataset


class Mget:
    """One MGET of all keys of a read: the entry and its tags."""

    def __init__(self, dataset: Dataset) -> None:
        read = whatsai.Shared(dataset)
        self._client: Any = redis.Redis.from_url(os.environ["REDIS_URL"])
        self._row_keys = {pk: self._requested_keys(read.row, pk) for pk in dataset.hot_rows}
        self._many_keys = self._requested_keys(read.many, dataset.hot_rows)
        self._page_keys = self._requested_keys(read.page, dataset.instance)
        runtime.use_configured_store()  # stops the background threads of the old one

    def _requested_keys(self, read: Callable[[Any], object], argument: Any) -> list[str]:
        """Return the keys of the MGET that a hit sends."""
        read(argument)  # fills the cache
        with self._client.monitor() as monitor:
            read(argument)
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
    """One GET of the entry alone, as a cache without versions would send it."""

    def row(self, pk: int) -> Any:
        return self._client.get(self._row_keys[pk][0])
