"""A reader process: reads rows and lists from both cache tiers, and checks every result against the history."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from time import monotonic_ns
from typing import Any

from django.db import connection

from cachelayer.runtime.runtime import get_runtime, runtime
from conversations.models import Conversation
from tests.soak.history import History
from tests.soak.rows import FIRST_PK, INSTANCES, NO_ROW, SLOTS, Rows, draw_slots
from tests.soak.staleness import DATABASE, LOCAL, SHARED, StalenessChecker, StaleRead

BATCH_ROWS = 800  # number of rows that one batch reads one by one
FRESH_ROWS = 70  # number of the rows in a batch that are read without the local tier of the cache
MANY_ROWS = 10  # number of rows that are read in one round trip to the store
# The reader sleeps after each read that bypassed the cache, and longer after several such reads in succession: while
# the cache is off, the threads that turn the cache on again need the processor.
BYPASS_PAUSE = 0.0003  # seconds
MAX_BYPASS_PAUSE = 0.01
SLOW_FRACTION = 1 / 50  # the fraction of database queries whose results are delayed
MAX_SLOWDOWN = 0.02  # seconds
MAX_DETAILS = 20  # number of stale reads that each reader reports in detail
NEARBY_LOSS = 5_000_000_000  # ns between a stale read and a loss of intents that is reported with the read


class Reader:
    """Reads rows and lists; counts the reads of each tier, and the stale reads by tier and cause.

    Args:
        history: the history of all writes.
        rows: the rows that are read.
        checker: decides which reads are stale.
    """

    def __init__(self, history: History, rows: Rows, checker: StalenessChecker) -> None:
        self.reads = dict.fromkeys((LOCAL, SHARED, DATABASE), 0)
        self.rows_in_lists: Counter[str] = Counter()
        self.stale: Counter[tuple[str, str]] = Counter()
        self.staleness: dict[tuple[str, str], list[int]] = {}
        self.details: list[dict[str, Any]] = []
        self._history = history
        self._rows = rows
        self._checker = checker
        self._rng = random.Random()
        namespace = runtime.namespaces.for_tag("conversations")
        self._local = get_runtime().local.namespace(namespace)
        self._counters = get_runtime().counters.shared(namespace)
        self._shared_hits = self._bypasses = self._bypasses_in_a_row = 0
        self._lists = [(instance, rows.slots_of_instance(instance)) for instance in rows.instances]
        connection.execute_wrappers.append(self._delay_some_queries)

    def read_batch(self) -> None:
        """Read a batch of rows with each read method of the cache."""
        slots = draw_slots(range(SLOTS), BATCH_ROWS, self._rng)
        self.read_rows(slots[FRESH_ROWS:], fresh=False)
        self.read_rows(slots[:FRESH_ROWS], fresh=True)
        self.read_many(slots[:MANY_ROWS])
        index = self._rng.randrange(INSTANCES)
        for fresh in (False, True):
            self.read_list(index, fresh=fresh)

    # --- ways of reading ----------------------------------------------------------------------------------------------
    def read_rows(self, slots: Sequence[int], *, fresh: bool) -> None:
        """Read rows one by one. Helper functions are not used: they would make a checked read much slower."""
        committed_0, committed_1 = self._history.committed
        started_0, started_1 = self._history.started
        local, fetch, local_reads = self._local, Conversation.objects.fetch, 0
        for slot in slots:
            minimum = max(committed_0[slot], committed_1[slot])
            hits, started = local.hits, monotonic_ns()
            try:
                number = fetch(FIRST_PK + slot, fresh=fresh).unread_count
            except Conversation.DoesNotExist:
                number = NO_ROW
            maximum = max(started_0[slot], started_1[slot])
            if local.hits != hits:
                local_reads, tier = local_reads + 1, LOCAL
            else:
                tier = self._last_tier()
                self.reads[tier] += 1
            if not minimum <= number <= maximum:
                self._check(tier, slot, number, minimum, maximum, started)
        self.reads[LOCAL] += local_reads

    def read_many(self, slots: Sequence[int]) -> None:
        """Read several rows from the shared tier in one round trip, and check each row."""
        slots = list(dict.fromkeys(slots))
        minimums = [self._history.last_committed(slot) for slot in slots]
        started = monotonic_ns()
        found = Conversation.objects.fetch_many([FIRST_PK + slot for slot in slots], fresh=True)
        tier = self._last_tier(len(slots))
        # Some rows may have come from the database, but a stale row must have come from the shared tier.
        self._check_rows(tier, SHARED, slots, minimums, {row.pk: row.unread_count for row in found.values()}, started)

    def read_list(self, index: int, *, fresh: bool) -> None:
        """Read the conversation list of an instance; check the rows in the list and the rows missing from it."""
        instance, slots = self._lists[index]
        minimums = [self._history.last_committed(slot) for slot in slots]
        hits, started = self._local.hits, monotonic_ns()
        page = Conversation.objects.for_instance(instance, fresh=fresh)
        tier = LOCAL if self._local.hits != hits else self._last_tier()
        self._check_rows(tier, tier, slots, minimums, {row.pk: row.unread_count for row in page.rows}, started)

    def _last_tier(self, reads: int = 1) -> str:
        """Return the tier that answered the last reads, none of which hit the local tier; sleep after a bypass."""
        counters = self._counters
        before, self._shared_hits = self._shared_hits, counters.hits + counters.negatives
        if self._shared_hits == before + reads:
            self._bypasses_in_a_row = 0
            return SHARED
        if counters.bypasses != self._bypasses:
            self._bypasses = counters.bypasses
            self._bypasses_in_a_row += 1
            time.sleep(min(BYPASS_PAUSE * self._bypasses_in_a_row, MAX_BYPASS_PAUSE))
        return DATABASE

    def _delay_some_queries(self, execute: Callable[..., Any], *statement: Any) -> Any:
        """Wrap Django's query execution: delay some results, so that they may be stale when the reader gets them."""
        result = execute(*statement)
        if self._rng.random() < SLOW_FRACTION:
            time.sleep(self._rng.uniform(0, MAX_SLOWDOWN))
        return result

    # --- checks -------------------------------------------------------------------------------------------------------
    def _check_rows(  # noqa: PLR0913, PLR0917 - all arguments describe one read
        self,
        tier: str,
        checked_tier: str,
        slots: Sequence[int],
        minimums: Sequence[int],
        found: dict[int, int],
        started: int,
    ) -> None:
        self.reads[tier] += 1
        self.rows_in_lists[tier] += len(slots)
        for slot, minimum in zip(slots, minimums, strict=True):
            number, maximum = found.get(FIRST_PK + slot, NO_ROW), self._history.last_started(slot)
            self._check(checked_tier, slot, number, minimum, maximum, started)

    def _check(self, tier: str, slot: int, number: int, minimum: int, maximum: int, started: int) -> None:  # noqa: PLR0913, PLR0917 - all arguments describe one read
        stale = self._checker.check(tier, slot, number, minimum, maximum, started)
        if stale is None:
            return
        self.stale[tier, stale.cause.value] += 1
        if stale.staleness is not None:
            self.staleness.setdefault((tier, stale.cause.value), []).append(stale.staleness)
        if not stale.cause.is_documented and len(self.details) < MAX_DETAILS:
            self.details.append(self._describe(tier, stale))

    def _describe(self, tier: str, stale: StaleRead) -> dict[str, Any]:
        """Describe a stale read, the writes it missed, and intents lost about then; times are ms from its start."""
        writes = []
        for number in range(stale.number + 1, stale.minimum + 1):
            write = self._history.write(stale.slot, number)
            times = (
                {} if write is None else {"started": write.started, "committed": write.committed, "ended": write.ended}
            )
            writes.append({name: (at - stale.started) / 1e6 for name, at in times.items() if at})
        losses = [
            [(loss.start - stale.started) / 1e6, (loss.end - stale.started) / 1e6]
            for loss in self._history.losses()
            if abs(loss.start - stale.started) < NEARBY_LOSS
        ]
        return {**asdict(stale), "cause": stale.cause.value, "tier": tier, "writes": writes, "losses": losses}

    def report(self) -> dict[str, Any]:
        """Return all counts and details of this reader as JSON-compatible data."""
        return {
            "reads": self.reads,
            "rows": self.rows_in_lists,
            "stale": [[*key, count] for key, count in self.stale.items()],
            "staleness": [[*key, values] for key, values in self.staleness.items()],
            "details": self.details,
        }
