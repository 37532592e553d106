"""Reads from the shared store, unless the store must not be trusted; errors of the store open the circuit breaker."""

from collections.abc import Callable
from typing import TypeVar

from cachelayer.runtime.metrics import SharedCounts
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import StoreDown, StoreEmptied, StoreFull

T = TypeVar("T")


def read_store(runtime: CacheRuntime, counts: SharedCounts, read: Callable[[], T]) -> T | None:
    """Return what `read` returns, which reads from the store; None if the store must not be used now."""
    runtime.ensure_started()
    if not runtime.breaker.is_closed:
        return None
    try:
        found = read()
    except StoreEmptied:
        _reinitialize(runtime, counts)
        return None
    except (StoreDown, StoreFull) as error:
        on_store_error(runtime, counts, error)
        return None
    runtime.breaker.record_success()
    # Checked after the answer, because the connection may have been new.
    return found if runtime.breaker.is_trusted else None


def on_store_error(runtime: CacheRuntime, counts: SharedCounts, error: Exception) -> None:
    """Count an error of the store, and tell the runtime."""
    counts.errors += 1
    runtime.on_read_error(error)


def _reinitialize(runtime: CacheRuntime, counts: SharedCounts) -> None:
    try:
        if runtime.store.reinitialize(quarantine=False):
            runtime.on_store_replaced()
    except (StoreDown, StoreFull) as error:
        on_store_error(runtime, counts, error)
