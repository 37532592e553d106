"""The counters of this process, for example of hits and misses.

Most counters are plain integers that threads increment without a lock, so that counting takes almost no time. CPython
switches threads only at calls and jumps, and `count += 1` contains neither a call nor a jump, so no increment is lost.
`cachelayer.ops.statistics` adds up the counters of all processes.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from cachelayer.protocol.tags import GLOBAL_TAG, Namespace, Namespaces
from cachelayer.runtime.local_cache import LocalNamespace

# The names of the counters that each namespace has for the shared store and for the local cache.
SHARED = ("hits", "misses", "bypasses", "negatives", "fills", "invalidations", "errors")
LOCAL = ("hits", "misses", "fills", "evictions", "invalidations")
EVENTS = "events"  # takes the place of the namespace's name for counters that belong to no namespace

# The values of counters, by (name of the namespace or EVENTS, tier, name of the counter).
Snapshot = Mapping[tuple[str, str, str], int]


class SharedCounts:
    """Counts of the reads and writes of one namespace in the shared store.

    Attributes:
        negatives: how many hits returned that a row does not exist.
        local_misses: how many lookups the local cache could not answer.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set all counters of the namespace to 0."""
        self.hits = self.misses = self.bypasses = self.negatives = self.fills = self.invalidations = self.errors = 0
        self.local_misses = 0


class Counters:
    """All counters of this process, except the counters that are attributes of `LocalNamespace`."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._shared = {namespace.name: SharedCounts() for namespace in namespaces}
        self._events: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Set the counters of all namespaces and of rare events to 0."""
        with self._lock:
            self._events.clear()
        for counts in self._shared.values():
            counts.reset()

    def reset_after_fork(self) -> None:
        """Make a new lock in a forked child, because a thread of the parent process may hold the old lock."""
        self._lock = threading.Lock()

    def shared(self, namespace: Namespace) -> SharedCounts:
        """Return the counters of a namespace for the shared store. The caller increments the counters directly."""
        counts = self._shared.get(namespace.name)
        return counts if counts is not None else self._shared.setdefault(namespace.name, SharedCounts())

    def count(self, event: str, times: int = 1) -> None:
        """Add `times` to the counter of a rare event, such as an outage."""
        if times:
            with self._lock:
                self._events[event] += times

    def count_invalidations(self, tags: Iterable[str]) -> None:
        """Count one invalidation in the namespace of each tag that a write touches."""
        for tag in tags:
            if tag != GLOBAL_TAG:
                self.shared(self._namespaces.for_tag(tag)).invalidations += 1

    def snapshot(self, local_namespaces: Iterable[LocalNamespace]) -> Snapshot:
        """Return all counters that are not 0, including the counters of the local cache."""
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
