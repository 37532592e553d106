"""What is measured, of any side: how long one call takes, and how often the database is asked."""

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

from tests.benchmarks.scene import Scene

THREADS = 4
SEED_READS = 1000  # of one conversation: the seed's own test
OPERATIONS = 10_000  # of a replay
WRITES = 0.01  # of them
EXPONENT = 1.0  # Zipf's: the n-th most wanted conversation is wanted 1/n as often as the first

Result = dict[str, float]
Call = Callable[[Any], object]


class Measures:
    """The measurements of one side. Each is made some times, in turn with those of the other sides."""

    def __init__(self, side: Any, scene: Scene, seconds: float) -> None:
        """Measure a side for about that many seconds a round."""
        self._side = side
        self._scene = scene
        self._seconds = seconds
        self._passes: dict[str, int] = {}
        self._is_warm = False  # for a replay
        self._choose = random.Random(2026)
        gc.collect()
        gc.freeze()  # what importing left behind is nobody's to go through

    def measure(self, name: str) -> Result:
        """Measure one thing, by its name."""
        special: dict[str, Callable[[], Result]] = {
            "threads": self._threads, "replay": self._replay, "seed": self._seed,
        }  # fmt: skip
        return special[name]() if name in special else self._speed(name)

    def digest(self, name: str) -> str:
        """Return a digest of what this side reads, for others to compare theirs with."""
        side, scene = self._side, self._scene
        read: dict[str, Callable[[], object]] = {
            "many": lambda: [_plain(row) for row in side.many(scene.hot_rows).values()],
            "page": lambda: [_plain(row) for row in _rows(side.page(scene.instance))],
            "value": lambda: side.value(scene.value_keys[0]),
        }
        answer = read.get(name, lambda: [_plain(side.row(pk)) for pk in scene.hot_rows])()
        return hashlib.blake2s(repr(answer).encode()).hexdigest()

    # --- the time of one call -----------------------------------------------------------------------------------------
    def _speed(self, name: str) -> Result:
        call, arguments = getattr(self._side, name), self._arguments(name)
        passes = self._warm(name, call, arguments)
        return {"seconds": _timed(call, arguments, passes) / (passes * len(arguments))}

    def _arguments(self, name: str) -> Sequence[Any]:
        scene = self._scene
        if name == "save":
            return [self._side.row(pk) for pk in scene.saved_rows]
        arguments: dict[str, Sequence[Any]] = {
            "row": scene.hot_rows, "many": [scene.hot_rows], "page": [scene.instance], "value": scene.value_keys,
        }  # fmt: skip
        return arguments[name]

    def _warm(self, name: str, call: Call, arguments: Sequence[Any]) -> int:
        """Fill what is to be hit, and return how many passes over the arguments take as long as they should."""
        _timed(call, arguments, 1)
        if name not in self._passes:
            passes = 1
            while (taken := _timed(call, arguments, passes)) < self._seconds / 4:
                passes *= 2
            self._passes[name] = max(1, round(passes * self._seconds / taken))
        return self._passes[name]

    def _threads(self) -> Result:
        call, arguments = self._side.row, self._scene.hot_rows
        passes = max(1, self._warm("row", call, arguments) // THREADS)

        together = threading.Barrier(THREADS + 1)

        def read() -> None:
            call(arguments[0])  # connects, where that is needed
            together.wait()
            _timed(call, arguments, passes)
            connections.close_all()

        readers = [threading.Thread(target=read) for _ in range(THREADS)]
        for reader in readers:
            reader.start()
        together.wait()
        began = time.perf_counter()
        for reader in readers:
            reader.join()
        return {"seconds": (time.perf_counter() - began) / (THREADS * passes * len(arguments))}

    # --- how often the database is asked ------------------------------------------------------------------------------
    def _replay(self) -> Result:
        if not self._is_warm:
            self._replay_once()
            self._is_warm = True
        return self._replay_once()

    def _replay_once(self) -> Result:
        """Read as people do: some conversations much oftener than others, and now and then one changes."""
        weights = list(accumulate(1 / rank**EXPONENT for rank in range(1, len(self._scene.all_rows) + 1)))
        wanted = self._choose.choices(self._scene.all_rows, cum_weights=weights, k=OPERATIONS)
        changed = [self._choose.random() < WRITES for _ in wanted]
        read, save, reads = self._side.row, self._side.save, changed.count(False)
        with _counted() as queries:
            asked, began = 0, time.perf_counter()
            for pk, changes in zip(wanted, changed, strict=True):
                if changes:
                    asked -= len(queries)
                    row = read(pk)
                    row.unread_count += 1
                    save(row)
                    asked += len(queries)
                else:
                    read(pk)
            taken = time.perf_counter() - began
        return _rated(taken / OPERATIONS, len(queries) - asked, reads)

    def _seed(self) -> Result:
        """Read one conversation a thousand times; at the first read it is nowhere but in the database.

        Then clear a pattern, where the side can.
        """
        pk = self._scene.hot_rows[0]
        read = self._side.row
        self._side.save(read(pk))
        with _counted() as queries:
            taken = _timed(read, [pk], SEED_READS)
        return {**_rated(taken, len(queries), SEED_READS), **getattr(self._side, "clear", dict)()}


def _plain(row: Model) -> list[str]:
    return [str(getattr(row, field.attname)) for field in row._meta.concrete_fields]  # noqa: SLF001 - Django's own way


def _rows(page: Any) -> Sequence[Model]:
    rows: Sequence[Model] = getattr(page, "rows", page)
    return rows


def _rated(seconds: float, queries: int, reads: int) -> Result:
    return {"seconds": seconds, "queries": queries / reads, "hits": 1 - min(queries, reads) / reads}


def _timed(call: Call, arguments: Sequence[Any], passes: int) -> float:
    clock = time.perf_counter
    began = clock()
    for _ in range(passes):
        for argument in arguments:
            call(argument)
    return clock() - began


@contextmanager
def _counted() -> Iterator[list[None]]:
    """Note each query of this thread."""
    queries: list[None] = []

    def note(execute: Callable[..., Any], *query: Any) -> Any:
        queries.append(None)
        return execute(*query)

    with connection.execute_wrapper(note):
        yield queries
