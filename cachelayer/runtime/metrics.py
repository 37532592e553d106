"""What is counted in this process: plain integers, for a hit must not pay for being counted.

Increments are not atomic between threads in theory; in CPython with its lock nothing can come between, where no call is
made. `statistics.py` sums them up over processes.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from cachelayer.protocol.tags import GLOBAL_TAG, Namespace, Namespaces

SHARED = ("hits", "misses", "bypasses", "absences", "fills", "invalidations", "errors")
LOCAL = ("hits", "misses", "fills", "evictions", "invalidations")
EVENTS = "events"  # the name under which what concerns no namespace is counted

# (namespace or EVENTS, tier, what) → how many
Snapshot = Mapping[tuple[str, str, str], int]


class SharedCounts:
    """One namespace's shared tier."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Count from 0 again."""
        self.hits = self.misses = self.bypasses = self.absences = self.fills = self.invalidations = self.errors = 0
        self.local_misses = 0


class Counters:
    """Everything counted outside the local tier, which counts for itself."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._shared = {namespace.name: SharedCounts() for namespace in namespaces}
        self._events: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Count from 0 again."""
        with self._lock:
            self._events.clear()
        for counts in self._shared.values():
            counts.reset()

    def reset_after_fork(self) -> None:
        """Use a new lock in a forked child: another thread of the parent may have held the old one."""
        self._lock = threading.Lock()

    def shared(self, namespace: Namespace) -> SharedCounts:
        """Return a namespace's counts, to be added to."""
        counts = self._shared.get(namespace.name)
        return counts if counts is not None else self._shared.setdefault(namespace.name, SharedCounts())

    def count(self, event: str, times: int = 1) -> None:
        """Count something rare."""
        if times:
            with self._lock:
                self._events[event] += times

    def invalidated(self, tags: Iterable[str]) -> None:
        """Count tags that a write touches."""
        for tag in tags:
            if tag != GLOBAL_TAG:
                self.shared(self._namespaces.for_tag(tag)).invalidations += 1

    def snapshot(self, tiers: Iterable[Any]) -> Snapshot:
        """Return all counts that are not 0, those of the local tiers among them."""
        found: Counter[tuple[str, str, str]] = Counter()
        for tier in tiers:
            name = tier.namespace.name
            for what in ("hits", "fills", "evictions", "invalidations"):
                found[name, "local", what] = getattr(tier, what)
            found[name, "local", "misses"] = self.shared(tier.namespace).local_misses
        for name, counts in self._shared.items():
            for what in SHARED:
                found[name, "shared", what] = getattr(counts, what)
        with self._lock:
            found.update({(EVENTS, "", event): times for event, times in self._events.items()})
        return {key: times for key, times in found.items() if times}
