"""Counters of this process. They are plain integers, so that counting costs a hit almost nothing.

Threads increment them without a lock. CPython switches threads only at calls and jumps, and `count += 1` contains none,
so no increment is lost. `cachelayer.ops.statistics` sums the counters of all processes.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from cachelayer.protocol.tags import GLOBAL_TAG, Namespace, Namespaces
from cachelayer.runtime.local_cache import LocalNamespace

# The names of the counters of each namespace.
SHARED = ("hits", "misses", "bypasses", "absences", "fills", "invalidations", "errors")
LOCAL = ("hits", "misses", "fills", "evictions", "invalidations")
EVENTS = "events"  # stands in the place of a namespace for counters that belong to none

# (namespace or EVENTS, tier, counter) → value
Snapshot = Mapping[tuple[str, str, str], int]


class SharedCounts:
    """The counters of one namespace in the shared store.

    Attributes:
        absences: hits of negative entries.
        local_misses: lookups that the local cache could not answer.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set the counters to 0."""
        self.hits = self.misses = self.bypasses = self.absences = self.fills = self.invalidations = self.errors = 0
        self.local_misses = 0


class Counters:
    """All counters except those of `LocalNamespace`."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._shared = {namespace.name: SharedCounts() for namespace in namespaces}
        self._events: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Set the counters to 0."""
        with self._lock:
            self._events.clear()
        for counts in self._shared.values():
            counts.reset()

    def reset_after_fork(self) -> None:
        """Use a new lock in a forked child: another thread of the parent may have held the old one."""
        self._lock = threading.Lock()

    def shared(self, namespace: Namespace) -> SharedCounts:
        """Return the counters of a namespace, for the caller to increment."""
        counts = self._shared.get(namespace.name)
        return counts if counts is not None else self._shared.setdefault(namespace.name, SharedCounts())

    def count(self, event: str, times: int = 1) -> None:
        """Count a rare event."""
        if times:
            with self._lock:
                self._events[event] += times

    def count_invalidations(self, tags: Iterable[str]) -> None:
        """Count the tags that a write touches."""
        for tag in tags:
            if tag != GLOBAL_TAG:
                self.shared(self._namespaces.for_tag(tag)).invalidations += 1

    def snapshot(self, local_namespaces: Iterable[LocalNamespace]) -> Snapshot:
        """Return all counters that are not 0, including those of the local cache."""
        values: Counter[tuple[str, str, str]] = Counter()
        for local in local_namespaces:
            name = local.namespace.name
            for counter in ("hits", "fills", "evictions", "invalidations"):
                values[name, "local", counter] = getattr(local, counter)
            values[name, "local", "misses"] = self.shared(local.namespace).local_misses
        for name, counts in self._shared.items():
            for counter in SHARED:
                values[name, "shared", counter] = getattr(counts, counter)
        with self._lock:
            values.update({(EVENTS, "", event): times for event, times in self._events.items()})
        return {key: value for key, value in values.items() if value}
