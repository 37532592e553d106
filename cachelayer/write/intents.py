"""One write: the intents that it holds from before it changes a row until after its commit. Independent of Django.

The invariant: no write to a cached model commits unless its invalidation is already recorded, either in the store as an
intent or, while the store is away, in the same database transaction as an outbox row.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from time import monotonic

from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import StoreDown, StoreFull, StoreSlow, token

# Inserts tags into the outbox.
Record = Callable[[Sequence[str]], None]
MAX_TAGS = 2000  # a write that touches more tags touches their namespaces instead
ATTEMPTS = 3  # at a store that does not answer in time
RENEWAL_DEADLINE = 12.0  # seconds; an intent that was not renewed for longer may be lost


class WriteIntent:
    """The intents of one transaction.

    Args:
        runtime: whose store holds the intents.
        record: inserts tags into the outbox inside the write's own transaction, when the store could not be told.
        record_after_commit: inserts tags into the outbox after the write; never raises.

    Attributes:
        tags: what the write has touched, in order.
        announced: those tags that were sent to the store, whether or not it answered.
        ended: whether the write has released all its intents.
    """

    def __init__(self, runtime: CacheRuntime, record: Record, record_after_commit: Record) -> None:
        self.id = token()
        self.tags: dict[str, None] = {}
        self.ended = False
        self.announced: dict[str, None] = {}
        self._acknowledged: dict[str, None] = {}  # those announced tags for which the store answered
        self._runtime = runtime
        self._record = record
        self._record_after_commit = record_after_commit
        self._renewed_at = 0.0
        self._lock = threading.Lock()  # the heartbeat renews while this thread may end

    def begin(self, tags: Iterable[str]) -> None:
        """Announce that these tags are about to change. Must return before the change commits.

        A tag that went to the outbox does not count as acknowledged, because rolling back a savepoint removes its row.

        Raises:
            Exception: whatever `record` raises; then the caller must not write.
        """
        wanted = dict.fromkeys(tags)
        if self._acknowledged and monotonic() - self._renewed_at > RENEWAL_DEADLINE:
            wanted, self._acknowledged = {**self.tags, **wanted}, {}
        new = [tag for tag in wanted if not self._covers(tag)]
        if not new:
            return
        if len(self.tags) + len(new) > MAX_TAGS:
            new = list(dict.fromkeys(map(self._namespace_tag, new)))
        self.tags.update(dict.fromkeys(new))
        self._runtime.in_flight.add(self)
        self._runtime.ensure_started()
        self._runtime.counters.count_invalidations(new)
        if self._announce(new):
            self._acknowledged.update(dict.fromkeys(new))
        else:
            self._runtime.local.invalidate(new)
            self._runtime.counters.count("outboxed", len(new))
            self._record(new)

    def _covers(self, tag: str) -> bool:
        """Tell whether an acknowledged intent makes another one for this tag unnecessary."""
        held = self._acknowledged
        return tag in held or GLOBAL_TAG in held or self._namespace_tag(tag) in held

    def _namespace_tag(self, tag: str) -> str:
        return tag if tag == GLOBAL_TAG else self._runtime.namespaces.for_tag(tag).name

    def _announce(self, tags: Sequence[str]) -> bool:
        """Put intents into the store; return whether it answered."""
        runtime = self._runtime
        if runtime.bypasses_cache or monotonic() < runtime.retry_writes_at:
            return False
        self.announced.update(dict.fromkeys(tags))
        for attempt in range(ATTEMPTS):
            try:
                runtime.store.begin(self.id, tags)
            except StoreSlow as error:
                # If the store is slow only for this process, the others keep using it. So more than one attempt is
                # worth its time.
                if attempt == ATTEMPTS - 1:
                    runtime.on_write_error(error)
            except (StoreDown, StoreFull) as error:
                runtime.on_write_error(error)
                break
            else:
                self._renewed_at = monotonic()
                return True
        return False

    def renew(self, older_than: float = 0.0) -> None:
        """Send the intents again if that was last done more than `older_than` seconds ago.

        Raises:
            StoreDown: the store does not answer.
        """
        with self._lock:
            if not self.ended and monotonic() - self._renewed_at >= older_than:
                tags = dict.fromkeys(self.tags)
                self.announced.update(tags)
                self._runtime.store.begin(self.id, list(tags))
                self._renewed_at = monotonic()
                self._acknowledged.update(tags)

    def end(self) -> None:
        """Release all intents after a commit or a rollback. Store errors are handled, not raised.

        If the store does not answer, its intents expire by themselves. That alone would not cover a write that commits
        after they have expired, so the tags also go into the outbox.
        """
        if not self._mark_ended() or not self.announced:
            return
        runtime = self._runtime
        try:
            runtime.store.end(self.id, list(self.announced))
        except (StoreDown, StoreFull) as error:
            runtime.local.invalidate(self.announced)
            runtime.on_end_error(self, error)
            if self._acknowledged:
                self._record_after_commit(list(self._acknowledged))

    def abandon(self) -> None:
        """Let the intents expire, because the write may still commit and nothing will say when."""
        if self._mark_ended():
            self._runtime.counters.count("abandoned writes")

    def _mark_ended(self) -> bool:
        """Mark the write as ended; return whether this call did it."""
        with self._lock:
            is_first, self.ended = not self.ended, True
        self._runtime.in_flight.discard(self)
        return is_first
