"""A writer: writes hot rows in all the ways there are, and notes it in the history."""

import random
import time
from collections.abc import Sequence

from django.db import connection, transaction

from cachelayer import cache
from conversations.models import Conversation
from tests.soak.history import History
from tests.soak.ledger import Ledger
from tests.soak.rows import FORBIDDEN, Kind, Rows, by_heat

FIELDS = ["unread_count", "updated_at"]
AHEAD = 1000  # slots drawn at a time
TARDY = 1 / 4  # of the transactions take a moment before they commit
MOMENT = 0.005  # seconds at most
LONG = 1 / 100  # of the writes are transactions that outlast a quarantine
LONGEST = 1.5  # seconds
COARSE = 1 / 500


class Writer:
    """Writes one row, or a few, at each `step`."""

    def __init__(self, history: History, rows: Rows, ledger: Ledger, number: int) -> None:
        self._history = history
        self._rows = rows
        self._ledger = ledger
        self._number = number
        self._draw = random.Random()
        self._slots = {kind: rows.of_writer(number, kind) for kind in Kind}
        self._next: dict[Kind, list[int]] = {kind: [] for kind in Kind}
        self._ways = (
            *[self._save] * 5,
            *[self._own] * 5,
            *[self._make_or_delete] * 3,
            *[self._several] * 2,
            self._increment,
            self._after_undoing,
            self._in_sql,
            self._undo,
        )
        self._catch_up()

    def step(self) -> None:
        """Write, in one of the ways; now and then for long, or what touches everything."""
        drawn = self._draw.random()
        way = (
            self._slowly if drawn < LONG else self._coarsely if drawn < LONG + COARSE else self._draw.choice(self._ways)
        )
        way()
        self._ledger.closes()

    def _catch_up(self) -> None:
        """Note what the database has: whoever was killed before could not note all that it had committed."""
        there = dict(Conversation.objects.values_list("pk", "unread_count"))
        for slot in (slot for kind in Kind for slot in self._slots[kind]):
            number = there.get(self._rows.pk(slot), self._deletion(slot))
            self._ledger.knows(slot, number)

    # --- shared rows --------------------------------------------------------------------------------------------------
    def _save(self) -> None:
        with transaction.atomic():
            (row,) = self._locked(self._slot(Kind.SHARED))
            row.save(update_fields=FIELDS)
            self._tarry()

    def _several(self) -> None:
        with transaction.atomic():
            for row in self._locked(*(self._slot(Kind.SHARED) for _ in range(4))):
                row.save(update_fields=FIELDS)
            self._tarry()

    def _increment(self) -> None:
        with transaction.atomic():
            (row,) = self._locked(self._slot(Kind.SHARED))
            Conversation.objects.increment_unread(row.pk)

    def _after_undoing(self) -> None:
        """Write in a savepoint, take it back, and write after all: the announcement must outlive the savepoint."""
        with transaction.atomic():
            (row,) = self._locked(self._slot(Kind.SHARED))
            number, row.unread_count = row.unread_count, FORBIDDEN
            with transaction.atomic():
                row.save(update_fields=FIELDS)
                transaction.set_rollback(True)
            row.unread_count = number
            row.save(update_fields=FIELDS)

    def _undo(self) -> None:
        """Write what nobody may ever see."""
        with transaction.atomic():
            row = Conversation.objects.select_for_update().get(pk=self._rows.pk(self._slot(Kind.SHARED)))
            row.unread_count = FORBIDDEN
            row.save(update_fields=FIELDS)
            transaction.set_rollback(True)

    def _in_sql(self) -> None:
        with transaction.atomic():
            (row,) = self._locked(self._slot(Kind.SHARED))
            cache.touch(f"conversation:{row.pk}", f"conversations:instance:{row.instance_id}")
            _update(row)

    def _coarsely(self) -> None:
        """Write in bulk, which touches the namespace."""
        with transaction.atomic():
            rows = self._locked(*(self._slot(Kind.SHARED) for _ in range(3)))
            if self._draw.random() < 1 / 2:
                Conversation.objects.bulk_update(rows, ["unread_count"])
            else:
                for row in rows:
                    Conversation.objects.filter(pk=row.pk).update(unread_count=row.unread_count)

    def _locked(self, *slots: int) -> Sequence[Conversation]:
        """Lock rows, always in the same order, and give them their next number."""
        pks = sorted({self._rows.pk(slot) for slot in slots})
        rows = list(Conversation.objects.select_for_update().filter(pk__in=pks).order_by("pk"))
        for row in rows:
            row.unread_count += 1
        self._ledger.opens([(self._rows.slot(row.pk), row.unread_count) for row in rows])
        return rows

    def _tarry(self) -> None:
        if self._draw.random() < TARDY:
            time.sleep(self._draw.uniform(0, MOMENT))

    # --- rows of this writer ------------------------------------------------------------------------------------------
    def _own(self) -> None:
        slot = self._slot(Kind.OWNED)
        row = Conversation.objects.get(pk=self._rows.pk(slot))
        row.unread_count += 1
        self._ledger.opens([(slot, row.unread_count)])
        row.save(update_fields=FIELDS)

    def _slowly(self) -> None:
        """Write in a transaction that may still be under way when the store has come back."""
        slot = self._slot(Kind.OWNED)
        with transaction.atomic():
            row = Conversation.objects.get(pk=self._rows.pk(slot))
            row.unread_count += 1
            self._ledger.opens([(slot, row.unread_count)])
            row.save(update_fields=FIELDS)
            time.sleep(self._draw.uniform(0, LONGEST))

    def _make_or_delete(self) -> None:
        slot = self._slot(Kind.MORTAL)
        row = Conversation.objects.filter(pk=self._rows.pk(slot)).first()
        if row is not None:
            self._ledger.opens([(slot, row.unread_count + 1)])
            row.delete()
            return
        new = self._rows.new(slot, self._deletion(slot) + 1)
        self._ledger.opens([(slot, new.unread_count)])
        if self._draw.random() < 1 / 2:
            new.save(force_insert=True)
        else:
            Conversation.objects.bulk_create([new])

    def _deletion(self, slot: int) -> int:
        """Return the number of the last deletion, of a row that is not there."""
        upto = self._history.upto(slot)
        return upto - upto % 2

    def _slot(self, kind: Kind) -> int:
        if not self._next[kind]:
            self._next[kind] = by_heat(self._slots[kind], AHEAD, self._draw)
        return self._next[kind].pop()


def _update(row: Conversation) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE conversations_conversation SET unread_count = %s WHERE id = %s", [row.unread_count, row.pk]
        )
