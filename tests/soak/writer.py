"""A writer process: writes rows with all write methods of the ORM, and records each write in the history."""

import random
import time
from collections.abc import Sequence

from django.db import connection, transaction

from cachelayer import cache
from conversations.models import Conversation
from tests.soak.commit_recorder import CommitRecorder
from tests.soak.history import History
from tests.soak.rows import ROLLED_BACK, RowKind, Rows, draw_slots

FIELDS = ["unread_count", "updated_at"]
DRAWN_SLOTS = 1000  # number of random slots that are drawn in advance
DELAYED_FRACTION = 1 / 4  # the fraction of transactions that wait before they commit
MAX_DELAY = 0.005  # seconds
LONG_FRACTION = 1 / 100  # the fraction of writes whose transaction may last longer than a quarantine
MAX_LONG_DELAY = 1.5  # seconds
BULK_FRACTION = 1 / 500  # the fraction of writes that invalidate all conversations


class Writer:
    """Writes one row or a few rows with each call of the method `write`."""

    def __init__(self, history: History, rows: Rows, recorder: CommitRecorder, number: int) -> None:
        self._history = history
        self._rows = rows
        self._recorder = recorder
        self._rng = random.Random()
        self._slots = {kind: rows.slots_of_writer(number, kind) for kind in RowKind}
        self._drawn: dict[RowKind, list[int]] = {kind: [] for kind in RowKind}
        self._operations = (
            *[self._save] * 5,
            *[self._save_in_autocommit] * 5,
            *[self._insert_or_delete] * 3,
            *[self._save_several] * 2,
            self._increment,
            self._save_after_savepoint_rollback,
            self._update_with_raw_sql,
            self._roll_back,
        )
        self._record_existing_rows()

    def write(self) -> None:
        """Write with a randomly chosen ORM method; rarely in a long transaction or in bulk."""
        drawn = self._rng.random()
        if drawn < LONG_FRACTION:
            self._save_in_long_transaction()
        elif drawn < LONG_FRACTION + BULK_FRACTION:
            self._update_in_bulk()
        else:
            self._rng.choice(self._operations)()
        self._recorder.finish()

    def _record_existing_rows(self) -> None:
        """Record the write numbers found in the database: a killed writer could not record its last commit."""
        numbers = dict(Conversation.objects.values_list("pk", "unread_count"))
        for slot in (slot for kind in RowKind for slot in self._slots[kind]):
            self._recorder.record_existing(slot, numbers.get(self._rows.pk(slot), self._last_deletion(slot)))

    # --- shared rows --------------------------------------------------------------------------------------------------
    def _save(self) -> None:
        with transaction.atomic():
            (row,) = self._lock(self._draw(RowKind.SHARED))
            row.save(update_fields=FIELDS)
            self._delay_some()

    def _save_several(self) -> None:
        with transaction.atomic():
            for row in self._lock(*(self._draw(RowKind.SHARED) for _ in range(4))):
                row.save(update_fields=FIELDS)
            self._delay_some()

    def _increment(self) -> None:
        with transaction.atomic():
            (row,) = self._lock(self._draw(RowKind.SHARED))
            Conversation.objects.increment_unread(row.pk)

    def _save_after_savepoint_rollback(self) -> None:
        """Save a row in a savepoint, roll the savepoint back, and save again: the intent must outlive the savepoint."""
        with transaction.atomic():
            (row,) = self._lock(self._draw(RowKind.SHARED))
            number, row.unread_count = row.unread_count, ROLLED_BACK
            with transaction.atomic():
                row.save(update_fields=FIELDS)
                transaction.set_rollback(True)
            row.unread_count = number
            row.save(update_fields=FIELDS)

    def _roll_back(self) -> None:
        """Write a number in a transaction that is rolled back: no read may ever return this number."""
        with transaction.atomic():
            row = Conversation.objects.select_for_update().get(pk=self._rows.pk(self._draw(RowKind.SHARED)))
            row.unread_count = ROLLED_BACK
            row.save(update_fields=FIELDS)
            transaction.set_rollback(True)

    def _update_with_raw_sql(self) -> None:
        with transaction.atomic():
            (row,) = self._lock(self._draw(RowKind.SHARED))
            cache.touch(f"conversation:{row.pk}", f"conversations:instance:{row.instance_id}")
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE conversations_conversation SET unread_count = %s WHERE id = %s", [row.unread_count, row.pk]
                )

    def _update_in_bulk(self) -> None:
        """Use `bulk_update` or `QuerySet.update`, which invalidate all entries of the namespace `conversations`."""
        with transaction.atomic():
            rows = self._lock(*(self._draw(RowKind.SHARED) for _ in range(3)))
            if self._rng.random() < 1 / 2:
                Conversation.objects.bulk_update(rows, ["unread_count"])
            else:
                for row in rows:
                    Conversation.objects.filter(pk=row.pk).update(unread_count=row.unread_count)

    def _lock(self, *slots: int) -> Sequence[Conversation]:
        """Lock rows, set their next write numbers, and record that the writes start.

        The rows are locked in the order of their primary keys, so that two writers cannot deadlock.
        """
        pks = sorted({self._rows.pk(slot) for slot in slots})
        rows = list(Conversation.objects.select_for_update().filter(pk__in=pks).order_by("pk"))
        for row in rows:
            row.unread_count += 1
        self._recorder.start([(self._rows.slot(row.pk), row.unread_count) for row in rows])
        return rows

    def _delay_some(self) -> None:
        if self._rng.random() < DELAYED_FRACTION:
            time.sleep(self._rng.uniform(0, MAX_DELAY))

    # --- rows of this writer only -------------------------------------------------------------------------------------
    def _save_in_autocommit(self) -> None:
        self._save_owned(self._draw(RowKind.OWNED))

    def _save_in_long_transaction(self) -> None:
        """Save a row in a transaction that may still be open when the quarantine of the store is over."""
        with transaction.atomic():
            self._save_owned(self._draw(RowKind.OWNED))
            time.sleep(self._rng.uniform(0, MAX_LONG_DELAY))

    def _save_owned(self, slot: int) -> None:
        row = Conversation.objects.get(pk=self._rows.pk(slot))
        row.unread_count += 1
        self._recorder.start([(slot, row.unread_count)])
        row.save(update_fields=FIELDS)

    def _insert_or_delete(self) -> None:
        slot = self._draw(RowKind.RECREATED)
        row = Conversation.objects.filter(pk=self._rows.pk(slot)).first()
        if row is not None:
            self._recorder.start([(slot, row.unread_count + 1)])
            row.delete()
            return
        new = self._rows.build(slot, self._last_deletion(slot) + 1)
        self._recorder.start([(slot, new.unread_count)])
        if self._rng.random() < 1 / 2:
            new.save(force_insert=True)
        else:
            Conversation.objects.bulk_create([new])

    def _last_deletion(self, slot: int) -> int:
        """Return the write number of the last deletion of a row that does not exist now."""
        last = self._history.last_started(slot)
        return last - last % 2

    def _draw(self, kind: RowKind) -> int:
        if not self._drawn[kind]:
            self._drawn[kind] = draw_slots(self._slots[kind], DRAWN_SLOTS, self._rng)
        return self._drawn[kind].pop()
