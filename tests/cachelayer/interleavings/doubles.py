"""What stands in for what while scenarios are explored: SQL, connections, clocks, and what waits for other threads."""

import functools
import gc
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction
from django.db.models import QuerySet

from cachelayer import cache
from cachelayer.background import recovery
from cachelayer.orm import managers
from cachelayer.protocol.entries import LookupStatus
from cachelayer.read import reader
from cachelayer.runtime import circuit_breaker, local_cache, runtime, single_flight
from cachelayer.write import intents, outbox, transactions
from conversations.models import Instance
from logs import periodic
from tests.cachelayer.interleavings.acts import PK
from tests.cachelayer.interleavings.database import Outbox, connections
from tests.cachelayer.interleavings.mending import Due
from tests.cachelayer.interleavings.process import Lock, Signal, Since, SteppedFlights, SteppedLocal, shown
from tests.cachelayer.interleavings.schedule import note, running, step
from tests.cachelayer.interleavings.world import World

GARBAGE = 50_000  # objects between two collections: worlds are made and left by the thousand


class Stage:
    """Where the world is that is on: doubles of modules' functions have nobody else to ask."""

    def __init__(self) -> None:
        self._world: World | None = None

    def use(self, world: World) -> World:
        """Put a world on."""
        self._world = world
        return world

    @property
    def world(self) -> World:
        """The one that is on."""
        assert self._world is not None
        return self._world


@contextmanager
def doubles(*, polls: int = 0) -> Iterator[Stage]:
    """Run what follows on doubles.

    Args:
        polls: looks of a reader that waits for one in another process; 0 for who waits only as long as the schedule
            makes it.
    """
    stage = Stage()
    with pytest.MonkeyPatch.context() as patch:
        _of_threads(patch, stage, polls)
        _of_the_database(patch)
        patch.setattr(runtime, "LocalCache", SteppedLocal)
        patch.setattr(runtime, "SingleFlight", SteppedFlights)
        patch.setattr(intents, "token", lambda: stage.world.name_of_write())  # noqa: PLW0108 - of the world that is on then
        patch.setattr(reader, "random", SimpleNamespace(uniform=lambda _least, _most: 1))
        patch.setattr(reader.Reader, "_lookup_many", _judged(stage, reader.Reader._lookup_many))  # noqa: SLF001 - at its narrowest
        patch.setattr(circuit_breaker, "FAILURES", 1)
        with _quiet():
            yield stage


def _of_threads(patch: pytest.MonkeyPatch, stage: Stage, polls: int) -> None:
    for module in (transactions, cache):
        patch.setattr(module, "get_runtime", lambda: running().process.service)
    patch.setattr(single_flight, "threading", SimpleNamespace(Lock=threading.Lock, Event=Signal))
    patch.setattr(intents, "threading", SimpleNamespace(Lock=Lock))
    patch.setattr(periodic, "threading", SimpleNamespace(Event=Due))
    patch.setattr(recovery, "REPORT_INTERVAL", float("inf"))
    patch.setattr(reader, "PATIENCE", polls)

    def clock() -> float:
        return stage.world.clock()

    def noted_clock() -> float:
        now, found = clock(), running().process.service.single_flight
        note(Since(lambda: found.landed_since(now)))  # type: ignore[attr-defined]  # it is one of ours
        return now

    for module in (local_cache, managers, recovery, intents, runtime, single_flight, circuit_breaker):
        patch.setattr(module, "monotonic", clock)
    patch.setattr(reader, "monotonic", noted_clock)
    patch.setattr(reader, "time", SimpleNamespace(time=clock, sleep=lambda _: step("poll")))


def _of_the_database(patch: pytest.MonkeyPatch) -> None:
    for module in (transaction, transactions, outbox, recovery):
        patch.setattr(module, "connections", connections)
    patch.setattr(outbox, "databases", lambda: iter(["default"]))
    patch.setattr(outbox, "Outbox", Outbox)
    patch.setattr(Instance, "_do_update", _do_update)
    patch.setattr(Instance, "_do_insert", _do_insert)
    patch.setattr(QuerySet, "update", _update)
    patch.setattr(managers, "RowSerializer", functools.cache(managers.RowSerializer))  # type: ignore[attr-defined]  # only for speed


def _do_update(self: Instance, *_given: Any) -> bool:
    running().connection.write(self.pk, self.profile_name)
    return True


def _do_insert(self: Instance, *_given: Any) -> Sequence[tuple[int]]:
    running().connection.write(PK, self.profile_name)
    return [(PK,)]


def _update(_self: QuerySet[Any], profile_name: str) -> None:
    connection = running().connection
    for pk in sorted(pk for pk in connection.database.rows if isinstance(pk, int)):
        connection.write(pk, profile_name)


def _judged(stage: Stage, look_at: Callable[..., Any]) -> Callable[..., Any]:
    """Let an actor forget what it was answered once that is judged: the verdict and the values are all that is left."""

    def judged(*given: Any) -> Any:
        seen = running().seen
        size = len(seen)
        found = look_at(*given)
        del seen[size:]
        stage.world.hits += any(one.status is LookupStatus.HIT for one in found)
        note(tuple((one.status.value, one.factory and shown(one.factory())) for one in found))
        return found

    return judged


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the log and the collector of garbage from taking most of the time."""
    threshold, level = gc.get_threshold(), logging.root.manager.disable
    gc.set_threshold(GARBAGE)
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
        gc.set_threshold(*threshold)
