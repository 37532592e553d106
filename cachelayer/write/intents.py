"""The intents that a write holds from before it changes a row until after its commit. Independent of Django.

The invariant: no write to a cached model commits unless its invalidation is already recorded, either as an intent in
the store or, while the store is away, as an outbox row in the write's own database transaction.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from time import monotonic, sleep

from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.runtime.circuit_breaker import TRUST_S
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import StoreDown, StoreFull, StoreRefuses, StoreSlow, token

# A function that inserts tags into the outbox.
Record = Callable[[Sequence[str]], None]
MAX_TAGS = 2000  # a write with more tags than this touches the namespaces of the tags
UNANNOUNCED_S = TRUST_S  # seconds that a write waits for a store that may still answer the reads of other processes
RETRY_DELAY = 0.02  # seconds between two attempts to send an intent
RENEWAL_DEADLINE = 12.0  # seconds without renewal after which intents may be lost, so `begin` sends them again


class WriteIntent:
    """The intents of one transaction.

    Args:
        runtime: the cache runtime whose store holds the intents.
        record: inserts tags into the outbox, inside the write's own transaction, if the store is away.
        record_after_commit: inserts tags into the outbox after the write has ended; never raises.

    Attributes:
        tags: the tags that the write has touched, in order.
        announced: the tags that were sent to the store, whether or not the store answered.
        ended: whether the write has released all its intents.
    """

    def __init__(self, runtime: CacheRuntime, record: Record, record_after_commit: Record) -> None:
        self.id = token()
        self.tags: dict[str, None] = {}
        self.ended = False
        self.announced: dict[str, None] = {}
        self._acknowledged: dict[str, None] = {}  # announced tags that the store has confirmed
        self._runtime = runtime
        self._record = record
        self._record_after_commit = record_after_commit
        self._renewed_at = 0.0
        self._lock = threading.Lock()  # the heartbeat thread may call `renew` while the writing thread calls `end`

    def begin(self, tags: Iterable[str]) -> None:
        """Announce that the entries with these tags are about to change. `begin` must return before the write commits.

        A tag in the outbox does not count as acknowledged, because rolling back a savepoint may remove the outbox row.

        Raises:
            Exception: `record` raised this exception, so the caller must not write.
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
        began_at = monotonic()
        if self._announce(new):
            if not self._acknowledged:
                self._renewed_at = began_at  # otherwise the intents on earlier tags are older than the new ones
            self._acknowledged.update(dict.fromkeys(new))
        else:
            self._runtime.local.invalidate(new)
            self._runtime.counters.count("outboxed", len(new))
            self._record(new)

    def _covers(self, tag: str) -> bool:
        """Tell whether an acknowledged intent on the tag, its namespace or all namespaces already covers the tag."""
        held = self._acknowledged
        return tag in held or GLOBAL_TAG in held or self._namespace_tag(tag) in held

    def _namespace_tag(self, tag: str) -> str:
        return tag if tag == GLOBAL_TAG else self._runtime.namespaces.for_tag(tag).name

    def _announce(self, tags: Sequence[str]) -> bool:
        """Send intents to the store; return whether the store accepted the intents.

        A store that is slow, or answers with an error, may still answer the reads of other processes. So this method
        returns False only after `UNANNOUNCED_S` seconds, when no process uses entries of such a store any more. Other
        writes that the store accepts meanwhile do not prolong the wait.
        """
        runtime, breaker, fails_since = self._runtime, self._runtime.breaker, monotonic()
        while not runtime.bypasses_cache and (breaker.is_closed or monotonic() >= runtime.retry_writes_at):
            self.announced.update(dict.fromkeys(tags))
            try:
                with breaker.attempt_write():
                    runtime.store.begin(self.id, tags)
            except (StoreDown, StoreFull) as error:
                fails_since = min(fails_since, breaker.writes_fail_since or fails_since)
                if isinstance(error, StoreSlow | StoreRefuses) and monotonic() - fails_since < UNANNOUNCED_S:
                    sleep(RETRY_DELAY)
                else:
                    runtime.on_write_error(error)
            else:
                return True
        breaker.count_unannounced(StoreDown("it has just failed to accept another write"))
        return False

    def renew(self, older_than: float = 0.0) -> None:
        """Send all intents of the write again, unless they were sent less than `older_than` seconds ago.

        Raises:
            StoreDown: the store does not answer.
        """
        with self._lock:
            if not self.ended and monotonic() - self._renewed_at >= older_than:
                tags = dict.fromkeys(self.tags)
                self.announced.update(tags)
                began_at = monotonic()
                self._runtime.store.begin(self.id, list(tags))
                self._renewed_at = began_at
                self._acknowledged.update(tags)

    def end(self, *, is_rolled_back: bool = False) -> None:
        """Release all intents of the write after a commit or a rollback. Errors of the store are not raised.

        If the store does not answer, the intents expire by themselves. But intents may have expired even before the
        write committed, so the tags also go into the outbox, unless the write was rolled back.
        """
        if not self._mark_ended():
            return
        if self.announced:
            self._release(is_rolled_back=is_rolled_back)
        if not is_rolled_back:
            self._runtime.listeners.notify()

    def _release(self, *, is_rolled_back: bool) -> None:
        runtime, is_overdue = self._runtime, monotonic() - self._renewed_at > RENEWAL_DEADLINE
        try:
            runtime.store.end(self.id, list(self.announced), may_have_expired=is_overdue)
        except (StoreDown, StoreFull) as error:
            runtime.local.invalidate(self.announced)
            runtime.on_end_error(self, error)
            if self._acknowledged and not is_rolled_back:
                self._record_after_commit(list(self._acknowledged))

    def abandon(self) -> None:
        """Let the intents expire: the write may still commit, and this process will not learn when."""
        if self._mark_ended():
            self._runtime.counters.count("abandoned writes")

    def _mark_ended(self) -> bool:
        """Mark the write as ended; return False if it was marked before."""
        with self._lock:
            is_first, self.ended = not self.ended, True
        self._runtime.in_flight.discard(self)
        return is_first
