"""Baselines that request the same keys from Valkey as the project's cache does, without decoding the values.

The keys are taken from Valkey's MONITOR output while this process reads once through the project's managers.
"""

import os
from collections.abc import Callable
from typing import Any

import redis

from cachelayer.runtime.runtime import runtime
from tests.benchmarks.adapters import whatsai
from tests.benchmarks.dataset import Dataset


class Mget:
    """Sends one MGET per read, for the keys of the cache entry and of its tags."""

    def __init__(self, dataset: Dataset) -> None:
        read = whatsai.Shared(dataset)
        self._client: Any = redis.Redis.from_url(os.environ["REDIS_URL"])
        self._row_keys = {pk: self._requested_keys(read.row, pk) for pk in dataset.hot_rows}
        self._many_keys = self._requested_keys(read.many, dataset.hot_rows)
        self._page_keys = self._requested_keys(read.page, dataset.instance)
        runtime.use_configured_store()  # stops the background threads of the store that the adapter used

    def _requested_keys(self, read: Callable[[Any], object], argument: Any) -> list[str]:
        """Return the keys of the MGET command that the project's cache sends for a cache hit."""
        read(argument)  # the first read fills the cache
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
    """Sends one GET per read, for the cache entry alone, as a cache without tag versions would."""

    def row(self, pk: int) -> Any:
        return self._client.get(self._row_keys[pk][0])
