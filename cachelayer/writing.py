"""One write: the intents it holds from before it changes a row until after its commit. Knows nothing of Django.

The invariant: no write to a cached model commits unless its invalidation is already recorded, in the store as an intent
or, while the store is away, in the same database transaction as a row of the outbox.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from cachelayer.namespaces import ROOT
from cachelayer.store.base import StoreDown, StoreFull, StoreSlow, token

if TYPE_CHECKING:
    from cachelayer.service import Service

# Puts tags into the outbox, in the transaction of the write.
Record = Callable[[Sequence[str]], None]
MANY = 2000  # tags; a write that touches more touches all of their namespaces
ATTEMPTS = 3  # at a store that does not answer in time
RETRY = 0.1  # seconds; a store that has just failed is not tried again by every write


class Write:
    """The intents of one transaction.

    Attributes:
        tags: what it holds, in the order in which it was touched.
        ended: whether it has let go of everything.
    """

    def __init__(self, service: "Service", record: Record) -> None:
        self.id = token()
        self.tags: dict[str, None] = {}
        self.ended = False
        self._service = service
        self._record = record
        self._renewed = 0.0
        self._lock = threading.Lock()  # the keeper's thread renews what this one ends

    def begin(self, tags: Iterable[str]) -> None:
        """Announce that things are about to change. Must return before they are committed.

        Raises:
            Exception: whatever `record` raises; then nothing may be written.
        """
        new = [tag for tag in dict.fromkeys(tags) if not self._holds(tag)]
        if not new:
            return
        if len(self.tags) + len(new) > MANY:
            new = list(dict.fromkeys(tag if tag == ROOT else self._service.namespaces.of(tag).name for tag in new))
        self.tags.update(dict.fromkeys(new))
        self._service.live.add(self)
        self._service.counters.invalidated(new)
        if not self._announced(new):
            self._service.local.invalidate(new)
            self._service.counters.count("outboxed", len(new))
            self._record(new)

    def _holds(self, tag: str) -> bool:
        held = self.tags
        return tag in held or ROOT in held or (tag != ROOT and self._service.namespaces.of(tag).name in held)

    def _announced(self, tags: Sequence[str]) -> bool:
        """Put the intents into the store; tell whether they are there."""
        service = self._service
        if service.is_guest or monotonic() < service.no_writes_before:
            return False
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
                self._service.store.begin(self.id, list(self.tags))
                self._renewed = monotonic()

    def end(self) -> None:
        """Let go of everything: what was written is committed, or was rolled back. Never raises because of the store.

        When the store does not answer, its intents expire by themselves, and the outbox holds what it never had.
        """
        with self._lock:
            if self.ended:
                return
            self.ended = True
        service = self._service
        service.live.discard(self)
        if not self.tags or service.is_guest:
            return
        try:
            service.store.end(self.id, list(self.tags))
        except (StoreDown, StoreFull) as error:
            service.local.invalidate(self.tags)
            service.end_failed(self, error)
