"""Replaces SQL, connections, clocks, and locks and events of `threading` by fakes while a scenario is explored."""

import functools
import gc
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import greenlet
import pytest
from django.db import transaction
from django.db.models import QuerySet

from cachelayer import cache
from cachelayer.background import recovery
from cachelayer.orm import managers
from cachelayer.protocol.entries import LookupStatus
from cachelayer.read import entry_store, reader
from cachelayer.read.entry_store import Entries
from cachelayer.runtime import circuit_breaker, local_cache, runtime, single_flight
from cachelayer.write import intents, outbox, transactions
from conversations.models import Instance
from logs import periodic
from tests.cachelayer.interleavings.actions import PK
from tests.cachelayer.interleavings.background import NonBlockingEvent
from tests.cachelayer.interleavings.database import FakeOutbox, connections
from tests.cachelayer.interleavings.process import (
    ChangesSince,
    FakeEvent,
    FakeLock,
    ObservedSingleFlight,
    SteppedLocalCache,
    describe,
)
from tests.cachelayer.interleavings.scheduler import observe, running_actor, step
from tests.cachelayer.interleavings.system import System

GC_THRESHOLD = 50_000  # new objects between two garbage collections; runs of scenarios create very many objects


class CurrentSystem:
    """Holds the `System` that runs now, because fakes of module functions have no other reference to the system."""

    def __init__(self) -> None:
        self._system: System | None = None

    def set(self, system: System) -> System:
        """Set the `System` that runs now, and return the same system."""
        self._system = system
        return system

    def get(self) -> System:
        """Return the `System` that runs now."""
        assert self._system is not None
        return self._system


@contextmanager
def install_fakes(*, polls: int = 0) -> Iterator[CurrentSystem]:
    """Replace SQL, connections, clocks and thread primitives by fakes until the `with` block ends.

    Args:
        polls: how often a reader polls while another process loads the value; with 0, readers do not wait.
    """
    current = CurrentSystem()
    with pytest.MonkeyPatch.context() as patch:
        _fake_threads(patch, current, polls)
        _fake_database(patch)
        patch.setattr(runtime, "LocalCache", SteppedLocalCache)
        patch.setattr(runtime, "SingleFlight", ObservedSingleFlight)
        patch.setattr(intents, "token", lambda: current.get().new_write_id())
        patch.setattr(entry_store, "random", SimpleNamespace(uniform=lambda _least, _most: 1))
        patch.setattr(Entries, "lookup_many", _observe_result(current, Entries.lookup_many))
        patch.setattr(circuit_breaker, "FAILURES", 1)
        with _without_overhead():
            yield current


def _fake_threads(patch: pytest.MonkeyPatch, current: CurrentSystem, polls: int) -> None:
    for module in (transactions, cache):
        patch.setattr(module, "get_runtime", lambda: running_actor().process.runtime)
    patch.setattr(single_flight, "threading", SimpleNamespace(Lock=threading.Lock, Event=FakeEvent))
    patch.setattr(intents, "threading", SimpleNamespace(Lock=FakeLock))
    patch.setattr(periodic, "threading", SimpleNamespace(Event=NonBlockingEvent))
    patch.setattr(recovery, "REPORT_INTERVAL", float("inf"))
    patch.setattr(reader, "PATIENCE", polls)

    def clock() -> float:
        return current.get().clock()

    def observed_clock() -> float:
        """Return the time; readers compare this time only with the times at which loads have finished."""
        now, flights = clock(), running_actor().process.runtime.single_flight
        observe(ChangesSince(lambda: flights.finished_since(now)))
        return now

    for module in (local_cache, managers, recovery, intents, runtime, single_flight, circuit_breaker):
        patch.setattr(module, "monotonic", clock)
    patch.setattr(intents, "sleep", lambda seconds: current.get().sleep(seconds))
    patch.setattr(reader, "monotonic", observed_clock)
    patch.setattr(reader, "time", SimpleNamespace(sleep=lambda _: step("poll")))
    patch.setattr(entry_store, "time", SimpleNamespace(time=clock))


def _fake_database(patch: pytest.MonkeyPatch) -> None:
    for module in (transaction, transactions, outbox, recovery):
        patch.setattr(module, "connections", connections)
    patch.setattr(outbox, "databases", lambda: iter(["default"]))
    patch.setattr(outbox, "Outbox", FakeOutbox)
    patch.setattr(Instance, "_do_update", _do_update)
    patch.setattr(Instance, "_do_insert", _do_insert)
    patch.setattr(QuerySet, "update", _update)
    patch.setattr(transactions.TransactionHook, "__del__", _interruptible(transactions.TransactionHook.__del__))
    patch.setattr(managers, "RowSerializer", functools.cache(managers.RowSerializer))  # type: ignore[attr-defined]  # cached, because making serializers is slow


def _do_update(self: Instance, *_args: Any) -> bool:
    running_actor().connection.write(self.pk, self.profile_name)
    return True


def _do_insert(self: Instance, *_args: Any) -> Sequence[tuple[int]]:
    running_actor().connection.write(PK, self.profile_name)
    return [(PK,)]


def _update(_self: QuerySet[Any], profile_name: str) -> None:
    connection = running_actor().connection
    for pk in sorted(pk for pk in connection.database.rows if isinstance(pk, int)):
        connection.write(pk, profile_name)


def _interruptible(release: Callable[[Any], None]) -> Callable[[Any], None]:
    """Let the end of a run interrupt a destructor, which Python would report as an ignored exception."""

    def release_hook(self: Any) -> None:
        with suppress(greenlet.GreenletExit):
            release(self)

    return release_hook


def _observe_result(current: CurrentSystem, lookup_many: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `Entries.lookup_many`: only its result counts as observed, because readers use nothing else of a lookup."""

    def observed(*args: Any) -> Any:
        observations = running_actor().observations
        size = len(observations)
        lookups = lookup_many(*args)
        del observations[size:]
        current.get().hits += any(status is LookupStatus.HIT for status, _ in lookups)
        observe(tuple((status.value, load and describe(load())) for status, load in lookups))
        return lookups

    return observed


@contextmanager
def _without_overhead() -> Iterator[None]:
    """Disable logging and collect garbage rarely, because logging and collections would take most of the time."""
    threshold, level = gc.get_threshold(), logging.root.manager.disable
    gc.set_threshold(GC_THRESHOLD)
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
        gc.set_threshold(*threshold)
