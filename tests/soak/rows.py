"""The rows that the soak test writes and reads: conversations of a few instances. A slot is the index of a row.

A row stores the number of its last write in `unread_count`. Among the writes to a row that is repeatedly deleted and
inserted again, those with odd numbers are inserts, and those with even numbers are deletions.
"""

import enum
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from conversations.models import Conversation, Instance
from tests.soak.history import WRITERS, History

INSTANCES = 4
SLOTS = 100
FIRST_PK = 1_000_000  # beyond the sequence of PostgreSQL, because deleted rows are inserted again with their old key
NO_ROW = -1  # stands in for the write number if a read finds no row
ZIPF_OFFSET = 20  # number of skipped ranks of the Zipf distribution, so that no row gets most of the reads and writes
ROLLED_BACK = 2**31 - 1  # a number written only in transactions that are rolled back


class RowKind(enum.Enum):
    """How a row is written: by which writers and with which statements."""

    SHARED = 0  # updated by both writers, in transactions that lock the row
    OWNED = 1  # updated by one writer only, mostly in autocommit mode
    RECREATED = 2  # repeatedly deleted and inserted again, by one writer only


KINDS = (RowKind.SHARED, RowKind.OWNED, RowKind.SHARED, RowKind.RECREATED, RowKind.SHARED)


@dataclass(frozen=True)
class Rows:
    """All rows of a soak test. Rows with low slots are read and written the most often.

    Attributes:
        instances: primary keys of the instances to which the conversations belong.
    """

    instances: Sequence[int]

    def pk(self, slot: int) -> int:
        """Return the primary key of the row of a slot."""
        return FIRST_PK + slot

    def slot(self, pk: int) -> int:
        """Return the slot of the row that has the primary key `pk`."""
        return pk - FIRST_PK

    def kind(self, slot: int) -> RowKind:
        """Return how the row of a slot is written."""
        return KINDS[slot % len(KINDS)]

    def instance(self, slot: int) -> int:
        """Return the primary key of the instance to which the row of a slot belongs."""
        return self.instances[slot // len(KINDS) % INSTANCES]

    def slots_of_instance(self, instance: int) -> Sequence[int]:
        """Return the slots of an instance's conversations."""
        return [slot for slot in range(SLOTS) if self.instance(slot) == instance]

    def slots_of_writer(self, writer: int, kind: RowKind) -> list[int]:
        """Return the slots of all rows of one kind that a writer may write."""
        slots = [slot for slot in range(SLOTS) if self.kind(slot) is kind]
        return slots if kind is RowKind.SHARED else slots[writer::WRITERS]

    def build(self, slot: int, number: int) -> Conversation:
        """Return an unsaved conversation for a slot, with a write number."""
        pk = self.pk(slot)
        return Conversation(pk=pk, instance_id=self.instance(slot), kind="group", jid=f"{pk}@g.us", unread_count=number)


def create_rows(history: History) -> Rows:
    """Insert all rows into the database, and record their first writes in the history."""
    instances = [Instance.objects.create(name=f"soak-{number}").pk for number in range(INSTANCES)]
    rows = Rows(instances)
    for slot in range(SLOTS):
        history.record_start(0, slot, 1)
        rows.build(slot, 1).save(force_insert=True)
        history.record_commit(0, slot, 1)
        history.record_end(slot, 1)
    return rows


def draw_slots(slots: Sequence[int], count: int, rng: random.Random) -> list[int]:
    """Draw slots from a Zipf distribution in which the first slot is the most frequent.

    The distribution is flattened: if one row got most of the traffic, a killed writer could block most of the traffic.
    """
    weights = list(itertools.accumulate(1 / (ZIPF_OFFSET + rank) for rank in range(len(slots))))
    return rng.choices(slots, cum_weights=weights, k=count)
