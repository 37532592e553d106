"""The rows that are written and read: conversations of a few instances. Each row has a slot in the history.

A row stores its last write number in `unread_count`. For rows that are deleted and inserted again, odd numbers are
inserts and even numbers are deletions.
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
FIRST_PK = 1_000_000  # beyond the sequence, because RECREATED rows are inserted again with the same key
NO_ROW = -1  # the number of a read that finds no row
ZIPF_OFFSET = 20  # skips the first ranks, so that no single row gets most of the traffic
ROLLED_BACK = 2**31 - 1  # written only in transactions that are rolled back


class RowKind(enum.Enum):
    """How a row is written."""

    SHARED = 0  # by both writers, in transactions that lock the row
    OWNED = 1  # by one writer, in autocommit mode
    RECREATED = 2  # deleted and inserted again by one writer


KINDS = (RowKind.SHARED, RowKind.OWNED, RowKind.SHARED, RowKind.RECREATED, RowKind.SHARED)


@dataclass(frozen=True)
class Rows:
    """All rows. The first slots get the most traffic.

    Attributes:
        instances: primary keys of the instances.
    """

    instances: Sequence[int]

    def pk(self, slot: int) -> int:
        """Return the row's primary key."""
        return FIRST_PK + slot

    def slot(self, pk: int) -> int:
        """Return a row's slot."""
        return pk - FIRST_PK

    def kind(self, slot: int) -> RowKind:
        """Return how the row is written."""
        return KINDS[slot % len(KINDS)]

    def instance(self, slot: int) -> int:
        """Return the primary key of the row's instance."""
        return self.instances[slot // len(KINDS) % INSTANCES]

    def slots_of_instance(self, instance: int) -> Sequence[int]:
        """Return the slots of an instance's conversations."""
        return [slot for slot in range(SLOTS) if self.instance(slot) == instance]

    def slots_of_writer(self, writer: int, kind: RowKind) -> list[int]:
        """Return the slots of one kind that a writer writes."""
        slots = [slot for slot in range(SLOTS) if self.kind(slot) is kind]
        return slots if kind is RowKind.SHARED else slots[writer::WRITERS]

    def build(self, slot: int, number: int) -> Conversation:
        """Return an unsaved row."""
        pk = self.pk(slot)
        return Conversation(pk=pk, instance_id=self.instance(slot), kind="group", jid=f"{pk}@g.us", unread_count=number)


def create_rows(history: History) -> Rows:
    """Insert all rows and record their first write."""
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

    The peak of the distribution is cut off. Otherwise one killed writer could block most of the traffic.
    """
    weights = list(itertools.accumulate(1 / (ZIPF_OFFSET + rank) for rank in range(len(slots))))
    return rng.choices(slots, cum_weights=weights, k=count)
