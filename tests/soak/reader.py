"""A reader: reads hot rows and lists, from both tiers, and holds every answer against the history."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from time import monotonic_ns
from typing import Any

from cachelayer import service
from conversations.models import Conversation
from tests.soak.history import Excuse, History, Stale
from tests.soak.rows import INSTANCES, NOBODY, Kind, Rows, by_heat

BATCH = 300  # reads of single rows at a time
FRESH = 30  # of them, past the local tier
MANY = 10  # rows
LIST_EACH = 4  # batches
SHOWN = 20  # stale reads that are told in detail
LOCAL, SHARED, DATABASE = "local", "shared", "database"
FROM_NOWHERE = "from nowhere"  # never committed by anybody, nor about to be


class Reader:
    """Reads, and counts what it finds: reads by tier, and stale ones by tier and excuse."""

    def __init__(self, history: History, rows: Rows, seed: int) -> None:
        self.reads: Counter[str] = Counter()
        self.rows_seen: Counter[str] = Counter()
        self.stale: Counter[tuple[str, str]] = Counter()
        self.behind: dict[tuple[str, str], list[int]] = {}
        self.details: list[dict[str, Any]] = []
        self._history = history
        self._rows = rows
        self._draw = random.Random(seed)
        namespace = service.namespaces.of("conversations")
        self._tier = service.current().local.tier(namespace)
        self._counts = service.current().counters.shared(namespace)
        self._lists = [(instance, rows.listed(instance)) for instance in rows.instances]

    def batch(self) -> None:
        """Read for a moment in all ways."""
        slots = by_heat(range(len(self._history.about[0])), BATCH, self._draw)
        self.one_by_one(slots[FRESH:], fresh=False)
        self.one_by_one(slots[:FRESH], fresh=True)
        self.many(slots[:MANY])
        if self._draw.randrange(LIST_EACH) == 0:
            (which,) = by_heat(range(INSTANCES), 1, self._draw)
            self.whole_list(which, fresh=self._draw.random() < 1 / 2)

    # --- ways of reading ----------------------------------------------------------------------------------------------
    def one_by_one(self, slots: Sequence[int], *, fresh: bool) -> None:
        """Read single rows."""
        committed, committed_too = self._history.committed
        about, about_too = self._history.about
        tier, counts, fetch, pk_of = self._tier, self._counts, Conversation.objects.fetch, self._rows.pk
        for slot in slots:
            pk = pk_of(slot)
            needed = max(committed[slot], committed_too[slot])
            local, shared = tier.hits, counts.hits + counts.absences
            began = monotonic_ns()
            try:
                number = fetch(pk, fresh=fresh).unread_count
            except Conversation.DoesNotExist:
                number = NOBODY
            upto = max(about[slot], about_too[slot])
            where = LOCAL if tier.hits != local else SHARED if counts.hits + counts.absences != shared else DATABASE
            self.reads[where] += 1
            if not needed <= number <= upto:
                self._judge(where, slot, number, needed, upto, began)

    def many(self, slots: Sequence[int]) -> None:
        """Read several rows from the shared tier, in one round trip."""
        slots = list(dict.fromkeys(slots))
        needed = [self._history.needed(slot) for slot in slots]
        shared, began = self._answers(), monotonic_ns()
        found = Conversation.objects.fetch_many([self._rows.pk(slot) for slot in slots], fresh=True)
        where = SHARED if self._answers() - shared == len(slots) else DATABASE
        self.reads[where] += 1
        numbers = {self._rows.slot(pk): row.unread_count for pk, row in found.items()}
        # Some of them may have come from the shared tier even so; it is the one that is to be blamed.
        self._check(where, SHARED, slots, needed, numbers, began)

    def whole_list(self, which: int, *, fresh: bool) -> None:
        """Read an instance's list: every row of it counts, and every row that is not in it."""
        instance, slots = self._lists[which]
        needed = [self._history.needed(slot) for slot in slots]
        local, shared, began = self._tier.hits, self._answers(), monotonic_ns()
        page = Conversation.objects.for_instance(instance, fresh=fresh)
        where = LOCAL if self._tier.hits != local else SHARED if self._answers() != shared else DATABASE
        self.reads[where] += 1
        numbers = {self._rows.slot(row.pk): row.unread_count for row in page.rows}
        self._check(where, where, slots, needed, numbers, began)

    def _answers(self) -> int:
        return self._counts.hits + self._counts.absences

    # --- what came of it ----------------------------------------------------------------------------------------------
    def _check(  # noqa: PLR0913, PLR0917 - one read
        self, where: str, blamed: str, slots: Sequence[int], needed: Sequence[int], found: dict[int, int], began: int
    ) -> None:
        self.rows_seen[where] += len(slots)
        for slot, least in zip(slots, needed, strict=True):
            number, upto = found.get(slot, NOBODY), self._history.upto(slot)
            if not least <= number <= upto:
                self._judge(blamed, slot, number, least, upto, began)

    def _judge(self, where: str, slot: int, number: int, needed: int, upto: int, began: int) -> None:  # noqa: PLR0913, PLR0917 - as above
        """Look closer at an answer that is not plainly right."""
        if number == NOBODY and self._rows.kind(slot) is Kind.MORTAL:
            number = upto - upto % 2  # the last deletion that may have been committed
            if number >= needed:
                return
        if number > upto or number == NOBODY:
            self.stale[where, FROM_NOWHERE] += 1
            self.details.append({"tier": where, "slot": slot, "number": number, "needed": needed, "upto": upto})
            return
        found = self._history.stale(slot, number, needed, began)
        self.stale[where, found.excuse.value] += 1
        self.behind.setdefault((where, found.excuse.value), []).append(found.behind)
        if found.excuse is Excuse.NONE and where != LOCAL and len(self.details) < SHOWN:
            self.details.append(self._told(where, found))

    def _told(self, where: str, found: Stale) -> dict[str, Any]:
        """Tell all that is known of a stale read, in milliseconds from its beginning."""
        writes = []
        for number in range(found.seen + 1, found.needed + 1):
            one = self._history.written(found.slot, number)
            times = {} if one is None else {"began": one.began, "committed": one.committed, "ended": one.ended}
            writes.append({name: (at - found.began) / 1e6 for name, at in times.items() if at})
        losses = [
            [(start - found.began) / 1e6, (end - found.began) / 1e6]
            for start, end in self._history.losses()
            if abs(start - found.began) < 5e9
        ]
        return {"tier": where, **asdict(found), "excuse": "", "writes": writes, "losses": losses}

    def report(self) -> dict[str, Any]:
        """Return what was counted, as JSON has it."""
        return {
            "reads": self.reads,
            "rows": self.rows_seen,
            "stale": [[*key, times] for key, times in self.stale.items()],
            "behind": [[*key, times] for key, times in self.behind.items()],
            "details": self.details,
        }
