"""One write: the intents it holds from before it changes a row until after its commit. Knows nothing of Django.

The invariant: no write to a cached model commits unless its invalidation is already recorded, in the store as an intent
or, while the store is away, in the same database transaction as a row of the outbox.
"""

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.stores.base import StoreDown, StoreFull, StoreSlow, token

if TYPE_CHECKING:
    from cachelayer.runtime.runtime import CacheRuntime

# Puts tags into the outbox.
Record = Callable[[Sequence[str]], None]
MAX_TAGS = 2000  # tags; a write that touches more touches all of their namespaces
ATTEMPTS = 3  # at a store that does not answer in time
RETRY = 0.1  # seconds; a store that has just failed is not tried again by every write
RENEWAL_DEADLINE = 12.0  # seconds; an intent that was to be renewed by now may be lost


class InFlightWrites:
    """The writes that have not ended. Those whose thread is gone, and nobody remembers, are none."""

    def __init__(self) -> None:
        self._writes: weakref.WeakSet[WriteIntent] = weakref.WeakSet()
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator["WriteIntent"]:
        """Yield those that are live now."""
        with self._lock:
            return iter(list(self._writes))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._writes)

    def add(self, write: "WriteIntent") -> None:
        """Add one."""
        with self._lock:
            self._writes.add(write)

    def discard(self, write: "WriteIntent") -> None:
        """Forget one."""
        with self._lock:
            self._writes.discard(write)


class WriteIntent:
    """The intents of one transaction.

    Args:
        service: whose store they are in.
        record: puts tags into the outbox in the write's own transaction, for what the store could not be told before.
        keep: puts tags into the outbox by itself, for what the store could not be told after it; never raises.

    Attributes:
        tags: what it has touched, in that order.
        told: those of them that the store was told of; it may have heard of them although it did not answer.
        ended: whether it has let go of everything.
    """

    def __init__(self, service: "CacheRuntime", record: Record, keep: Record) -> None:
        self.id = token()
        self.tags: dict[str, None] = {}
        self.ended = False
        self.announced: dict[str, None] = {}
        self.acknowledged: dict[str, None] = {}  # of those told, what was answered
        self._service = service
        self._record = record
        self._record_after_commit = keep
        self._renewed = 0.0
        self._lock = threading.Lock()  # the keeper's thread renews what this one ends

    def begin(self, tags: Iterable[str]) -> None:
        """Announce that things are about to change. Must return before they are committed.

        What went into the outbox is not held: a savepoint that is rolled back takes its row with it.

        Raises:
            Exception: whatever `record` raises; then nothing may be written.
        """
        wanted = dict.fromkeys(tags)
        if self.acknowledged and monotonic() - self._renewed > RENEWAL_DEADLINE:
            wanted, self.acknowledged = {**self.tags, **wanted}, {}
        new = [tag for tag in wanted if not self._holds(tag)]
        if not new:
            return
        if len(self.tags) + len(new) > MAX_TAGS:
            new = list(
                dict.fromkeys(tag if tag == GLOBAL_TAG else self._service.namespaces.for_tag(tag).name for tag in new)
            )
        self.tags.update(dict.fromkeys(new))
        self._service.in_flight.add(self)
        self._service.ensure_started()
        self._service.counters.invalidated(new)
        if self._announce(new):
            self.acknowledged.update(dict.fromkeys(new))
        else:
            self._service.local.invalidate(new)
            self._service.counters.count("outboxed", len(new))
            self._record(new)

    def _holds(self, tag: str) -> bool:
        held = self.acknowledged
        return (
            tag in held
            or GLOBAL_TAG in held
            or (tag != GLOBAL_TAG and self._service.namespaces.for_tag(tag).name in held)
        )

    def _announce(self, tags: Sequence[str]) -> bool:
        """Put the intents into the store; tell whether they are there."""
        service = self._service
        if service.bypasses_cache or monotonic() < service.retry_writes_at:
            return False
        self.announced.update(dict.fromkeys(tags))
        for attempt in range(ATTEMPTS):
            try:
                service.store.begin(self.id, tags)
            except StoreSlow as error:
                # Others may go on believing a store that is slow to us alone: it is worth more than one try.
                if attempt == ATTEMPTS - 1:
                    service.write_failed(error)
            except (StoreDown, StoreFull) as error:
                service.write_failed(error)
                break
            else:
                self._renewed = monotonic()
                return True
        return False

    def renew(self, older_than: float = 0.0) -> None:
        """Put the intents into the store again, if that was longer ago than so many seconds.

        Raises:
            StoreDown: it does not answer.
        """
        with self._lock:
            if not self.ended and monotonic() - self._renewed >= older_than:
                tags = dict.fromkeys(self.tags)
                self.announced.update(tags)
                self._service.store.begin(self.id, list(tags))
                self._renewed = monotonic()
                self.acknowledged.update(tags)

    def end(self) -> None:
        """Let go of everything: what was written is committed, or was rolled back. Never raises because of the store.

        When the store does not answer, its intents expire by themselves. Those of a write that was committed only after
        that would not be enough, so its tags go into the outbox as well.
        """
        if not self._ends() or not self.announced:
            return
        service = self._service
        try:
            service.store.end(self.id, list(self.announced))
        except (StoreDown, StoreFull) as error:
            service.local.invalidate(self.announced)
            service.end_failed(self, error)
            if self.acknowledged:
                self._record_after_commit(list(self.acknowledged))

    def abandon(self) -> None:
        """Let the intents expire: it is not known whether what was written will yet be committed."""
        if self._ends():
            self._service.counters.count("abandoned writes")

    def _ends(self) -> bool:
        """Be over, once."""
        with self._lock:
            is_first, self.ended = not self.ended, True
        self._service.in_flight.discard(self)
        return is_first
