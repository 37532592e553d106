"""Measures an adapter of a benchmarked library: the duration of one call, and the number of database queries."""

import gc
import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

from django.db import connection, connections
from django.db.models import Model

from tests.benchmarks.dataset import Dataset

THREADS = 4
ONE_CONVERSATION_READS = 1000  # number of reads of one conversation
REPLAY_OPERATIONS = 10_000
WRITE_SHARE = 0.01  # fraction of writes among the operations of the replay
ZIPF_EXPONENT = 1.0  # the n-th most popular conversation is read 1/n as often as the most popular conversation

Result = dict[str, float]
Call = Callable[[Any], object]


class Measures:
    """Measures one adapter; `measure` runs once per round, in turn with the other benchmarked libraries."""

    def __init__(self, adapter: Any, dataset: Dataset, seconds: float) -> None:
        """Prepare to measure `adapter`; one round of a measure takes about `seconds` seconds."""
        self._adapter = adapter
        self._dataset = dataset
        self._seconds = seconds
        self._passes: dict[str, int] = {}
        self._is_replay_warm = False
        self._rng = random.Random(2026)
        gc.collect()
        gc.freeze()  # the garbage collector then skips the imported modules

    def measure(self, name: str) -> Result:
        """Run one round of a measure, and return its figures by name."""
        special: dict[str, Callable[[], Result]] = {
            "threads": self._threads, "replay": self._replay, "seed": self._seed,
        }  # fmt: skip
        return special[name]() if name in special else self._speed(name)

    def digest(self, name: str) -> str:
        """Return a digest of the data that the adapter reads, which must be equal for all benchmarked libraries."""
        adapter, dataset = self._adapter, self._dataset
        read: dict[str, Callable[[], object]] = {
            "many": lambda: [_plain(row) for row in adapter.many(dataset.hot_rows).values()],
            "page": lambda: [_plain(row) for row in _rows(adapter.page(dataset.instance))],
            "value": lambda: adapter.value(dataset.value_keys[0]),
        }
        rows = read.get(name, lambda: [_plain(adapter.row(pk)) for pk in dataset.hot_rows])()
        return hashlib.blake2s(repr(rows).encode()).hexdigest()

    # --- the time of one call -----------------------------------------------------------------------------------------
    def _speed(self, name: str) -> Result:
        call, arguments = getattr(self._adapter, name), self._arguments(name)
        passes = self._warm(name, call, arguments)
        return {"seconds": _timed(call, arguments, passes) / (passes * len(arguments))}

    def _arguments(self, name: str) -> Sequence[Any]:
        dataset = self._dataset
        if name == "save":
            return [self._adapter.row(pk) for pk in dataset.saved_rows]
        by_name: dict[str, Sequence[Any]] = {
            "row": dataset.hot_rows,
            "many": [dataset.hot_rows],
            "page": [dataset.instance],
            "value": dataset.value_keys,
        }
        return by_name[name]

    def _warm(self, name: str, call: Call, arguments: Sequence[Any]) -> int:
        """Fill the cache; return how many passes over the arguments a round needs to last `self._seconds`."""
        _timed(call, arguments, 1)
        if name not in self._passes:
            passes = 1
            while (elapsed := _timed(call, arguments, passes)) < self._seconds / 4:
                passes *= 2
            self._passes[name] = max(1, round(passes * self._seconds / elapsed))
        return self._passes[name]

    def _threads(self) -> Result:
        call, arguments = self._adapter.row, self._dataset.hot_rows
        passes = max(1, self._warm("row", call, arguments) // THREADS)

        barrier = threading.Barrier(THREADS + 1)

        def read() -> None:
            call(arguments[0])  # the first read opens the connections of this thread
            barrier.wait()
            _timed(call, arguments, passes)
            connections.close_all()

        readers = [threading.Thread(target=read) for _ in range(THREADS)]
        for reader in readers:
            reader.start()
        barrier.wait()
        start = time.perf_counter()
        for reader in readers:
            reader.join()
        return {"seconds": (time.perf_counter() - start) / (THREADS * passes * len(arguments))}

    # --- database queries ---------------------------------------------------------------------------------------------
    def _replay(self) -> Result:
        if not self._is_replay_warm:
            self._replay_once()
            self._is_replay_warm = True
        return self._replay_once()

    def _replay_once(self) -> Result:
        """Read conversations that are chosen with a Zipf distribution; one in a hundred operations is a save."""
        weights = list(accumulate(1 / rank**ZIPF_EXPONENT for rank in range(1, len(self._dataset.all_rows) + 1)))
        pks = self._rng.choices(self._dataset.all_rows, cum_weights=weights, k=REPLAY_OPERATIONS)
        is_write = [self._rng.random() < WRITE_SHARE for _ in pks]
        read, save, reads = self._adapter.row, self._adapter.save, is_write.count(False)
        with _recorded_queries() as queries:
            write_queries, start = 0, time.perf_counter()
            for pk, writes in zip(pks, is_write, strict=True):
                if writes:
                    write_queries -= len(queries)
                    row = read(pk)
                    row.unread_count += 1
                    save(row)
                    write_queries += len(queries)
                else:
                    read(pk)
            elapsed = time.perf_counter() - start
        return _result(elapsed / REPLAY_OPERATIONS, len(queries) - write_queries, reads)

    def _seed(self) -> Result:
        """Read one conversation a thousand times; only the first read must query the database.

        If the adapter has a method `clear`, measure clearing by pattern too.
        """
        pk = self._dataset.hot_rows[0]
        read = self._adapter.row
        self._adapter.save(read(pk))
        with _recorded_queries() as queries:
            elapsed = _timed(read, [pk], ONE_CONVERSATION_READS)
        return {**_result(elapsed, len(queries), ONE_CONVERSATION_READS), **getattr(self._adapter, "clear", dict)()}


def _plain(row: Model) -> list[str]:
    return [str(getattr(row, field.attname)) for field in row._meta.concrete_fields]  # noqa: SLF001 - Django documents the attribute _meta


def _rows(page: Any) -> Sequence[Model]:
    rows: Sequence[Model] = getattr(page, "rows", page)
    return rows


def _result(seconds: float, queries: int, reads: int) -> Result:
    return {"seconds": seconds, "queries": queries / reads, "hits": 1 - min(queries, reads) / reads}


def _timed(call: Call, arguments: Sequence[Any], passes: int) -> float:
    clock = time.perf_counter
    start = clock()
    for _ in range(passes):
        for argument in arguments:
            call(argument)
    return clock() - start


@contextmanager
def _recorded_queries() -> Iterator[list[None]]:
    """Yield a list to which each database query of this thread appends one item."""
    queries: list[None] = []

    def record(execute: Callable[..., Any], *query: Any) -> Any:
        queries.append(None)
        return execute(*query)

    with connection.execute_wrapper(record):
        yield queries
