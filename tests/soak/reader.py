"""A reader: reads hot rows and lists, from both tiers, and holds every answer against the history."""

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
from tests.soak.judge import DATABASE, LOCAL, SHARED, Judge, Stale
from tests.soak.rows import FIRST_PK, INSTANCES, NOBODY, SLOTS, Rows, by_heat

SINGLES = 800  # rows, one after the other
FRESH = 70  # of them, past the local tier
MANY = 10  # rows in one round trip
REST = 0.0003  # seconds after a bypass, and so much more after each in a row: while the cache is off ...
LONGEST_REST = 0.01  # ... the processor is for those who recover it
SLOW = 1 / 50  # of the answers from the database
SLOWEST = 0.02  # seconds
SHOWN = 20  # stale reads that are told in detail
NEAR = 5_000_000_000  # ns


class Reader:
    """Reads, and counts what it finds: reads by tier, and stale ones by tier and what they are called.

    Args:
        history: what reads are held against.
        rows: the rows.
        judge: judges what is not plainly right.
    """

    def __init__(self, history: History, rows: Rows, judge: Judge) -> None:
        self.reads = dict.fromkeys((LOCAL, SHARED, DATABASE), 0)
        self.rows_seen: Counter[str] = Counter()
        self.stale: Counter[tuple[str, str]] = Counter()
        self.behind: dict[tuple[str, str], list[int]] = {}
        self.details: list[dict[str, Any]] = []
        self._history = history
        self._rows = rows
        self._judge = judge
        self._draw = random.Random()
        namespace = runtime.namespaces.for_tag("conversations")
        self._tier = get_runtime().local.namespace(namespace)
        self._counts = get_runtime().counters.shared(namespace)
        self._answers = self._bypasses = self._in_a_row = 0
        self._lists = [(instance, rows.listed(instance)) for instance in rows.instances]
        connection.execute_wrappers.append(self._now_and_then_slow)

    def batch(self) -> None:
        """Read for a moment in all ways."""
        slots = by_heat(range(SLOTS), SINGLES, self._draw)
        self.one_by_one(slots[FRESH:], fresh=False)
        self.one_by_one(slots[:FRESH], fresh=True)
        self.many(slots[:MANY])
        which = self._draw.randrange(INSTANCES)
        for fresh in (False, True):
            self.whole_list(which, fresh=fresh)

    # --- ways of reading ----------------------------------------------------------------------------------------------
    def one_by_one(self, slots: Sequence[int], *, fresh: bool) -> None:
        """Read single rows. What is done around a `fetch` is to cost no more than one."""
        committed, committed_too = self._history.committed
        about, about_too = self._history.about
        tier, fetch, local = self._tier, Conversation.objects.fetch, 0
        for slot in slots:
            needed = max(committed[slot], committed_too[slot])
            hits, began = tier.hits, monotonic_ns()
            try:
                number = fetch(FIRST_PK + slot, fresh=fresh).unread_count
            except Conversation.DoesNotExist:
                number = NOBODY
            upto = max(about[slot], about_too[slot])
            if tier.hits != hits:
                local, where = local + 1, LOCAL
            else:
                where = self._beyond()
                self.reads[where] += 1
            if not needed <= number <= upto:
                self._look_at(where, slot, number, needed, upto, began)
        self.reads[LOCAL] += local

    def many(self, slots: Sequence[int]) -> None:
        """Read several rows from the shared tier, in one round trip."""
        slots = list(dict.fromkeys(slots))
        needed = [self._history.needed(slot) for slot in slots]
        began = monotonic_ns()
        found = Conversation.objects.fetch_many([FIRST_PK + slot for slot in slots], fresh=True)
        where = self._beyond(len(slots))
        # Some may have come from the shared tier even where others did not; it is the one that is to be blamed.
        self._check(where, SHARED, slots, needed, {row.pk: row.unread_count for row in found.values()}, began)

    def whole_list(self, which: int, *, fresh: bool) -> None:
        """Read an instance's list: every row of it counts, and every row that is not in it."""
        instance, slots = self._lists[which]
        needed = [self._history.needed(slot) for slot in slots]
        hits, began = self._tier.hits, monotonic_ns()
        page = Conversation.objects.for_instance(instance, fresh=fresh)
        where = LOCAL if self._tier.hits != hits else self._beyond()
        self._check(where, where, slots, needed, {row.pk: row.unread_count for row in page.rows}, began)

    def _beyond(self, answers: int = 1) -> str:
        """Tell where an answer came from that is not from the local tier."""
        counts = self._counts
        before, self._answers = self._answers, counts.hits + counts.absences
        if self._answers == before + answers:
            self._in_a_row = 0
            return SHARED
        if counts.bypasses != self._bypasses:
            self._bypasses = counts.bypasses
            self._in_a_row += 1
            time.sleep(min(REST * self._in_a_row, LONGEST_REST))
        return DATABASE

    def _now_and_then_slow(self, execute: Callable[..., Any], *statement: Any) -> Any:
        """Let an answer be old when it comes; a wrapper for the database."""
        answer = execute(*statement)
        if self._draw.random() < SLOW:
            time.sleep(self._draw.uniform(0, SLOWEST))
        return answer

    # --- what came of it ----------------------------------------------------------------------------------------------
    def _check(  # noqa: PLR0913, PLR0917 - one read
        self, where: str, blamed: str, slots: Sequence[int], needed: Sequence[int], found: dict[int, int], began: int
    ) -> None:
        self.reads[where] += 1
        self.rows_seen[where] += len(slots)
        for slot, least in zip(slots, needed, strict=True):
            self._look_at(blamed, slot, found.get(FIRST_PK + slot, NOBODY), least, self._history.upto(slot), began)

    def _look_at(self, where: str, slot: int, number: int, needed: int, upto: int, began: int) -> None:  # noqa: PLR0913, PLR0917 - as above
        found = self._judge.judge(where, slot, number, needed, upto, began)
        if found is None:
            return
        self.stale[where, found.why.value] += 1
        if found.behind is not None:
            self.behind.setdefault((where, found.why.value), []).append(found.behind)
        if not found.why.is_named and len(self.details) < SHOWN:
            self.details.append(self._told(where, found))

    def _told(self, where: str, found: Stale) -> dict[str, Any]:
        """Tell all that is known of a stale read, in milliseconds from its beginning."""
        writes = []
        for number in range(found.seen + 1, found.needed + 1):
            one = self._history.written(found.slot, number)
            times = {} if one is None else {"began": one.began, "committed": one.committed, "ended": one.ended}
            writes.append({name: (at - found.began) / 1e6 for name, at in times.items() if at})
        losses = [
            [(loss.start - found.began) / 1e6, (loss.end - found.began) / 1e6]
            for loss in self._history.losses()
            if abs(loss.start - found.began) < NEAR
        ]
        return {**asdict(found), "why": found.why.value, "tier": where, "writes": writes, "losses": losses}

    def report(self) -> dict[str, Any]:
        """Return what was counted, as JSON has it."""
        return {
            "reads": self.reads,
            "rows": self.rows_seen,
            "stale": [[*key, times] for key, times in self.stale.items()],
            "behind": [[*key, times] for key, times in self.behind.items()],
            "details": self.details,
        }
