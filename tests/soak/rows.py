"""The rows that are written and read: hot conversations in a few instances' lists, each at a slot of the history.

A row's number is its `unread_count`. Of a mortal row an odd number is its making and an even one its deletion.
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
FIRST_PK = 1_000_000  # past the sequence, for the mortal ones are made anew under the same key
NOBODY = -1  # what is read where there is no row
PEAK = 20  # ranks that are missing at the top
FORBIDDEN = 2**31 - 1  # written, and always rolled back


class Kind(enum.Enum):
    """How a row is written."""

    SHARED = 0  # by both writers, in transactions, under a lock
    OWNED = 1  # by one of them, outside transactions
    MORTAL = 2  # by one of them, who makes and deletes it


KINDS = (Kind.SHARED, Kind.OWNED, Kind.SHARED, Kind.MORTAL, Kind.SHARED)


@dataclass(frozen=True)
class Rows:
    """The rows, by slot and by instance. Slots are in the order of their heat."""

    instances: Sequence[int]

    def pk(self, slot: int) -> int:
        """Return the row's primary key."""
        return FIRST_PK + slot

    def slot(self, pk: int) -> int:
        """Return the slot of a row."""
        return pk - FIRST_PK

    def kind(self, slot: int) -> Kind:
        """Return how the row is written."""
        return KINDS[slot % len(KINDS)]

    def instance(self, slot: int) -> int:
        """Return the primary key of the row's instance."""
        return self.instances[slot // len(KINDS) % INSTANCES]

    def listed(self, instance: int) -> Sequence[int]:
        """Return the slots of an instance's list."""
        return [slot for slot in range(SLOTS) if self.instance(slot) == instance]

    def of_writer(self, writer: int, kind: Kind) -> list[int]:
        """Return the slots that a writer writes in that way."""
        slots = [slot for slot in range(SLOTS) if self.kind(slot) is kind]
        return slots if kind is Kind.SHARED else slots[writer::WRITERS]

    def new(self, slot: int, number: int) -> Conversation:
        """Return a row that is not in the database."""
        pk = self.pk(slot)
        return Conversation(pk=pk, instance_id=self.instance(slot), kind="group", jid=f"{pk}@g.us", unread_count=number)


def make(history: History) -> Rows:
    """Make the rows, and note their first number."""
    instances = [Instance.objects.create(name=f"soak-{number}").pk for number in range(INSTANCES)]
    rows = Rows(instances)
    for slot in range(SLOTS):
        history.opens(0, slot, 1)
        rows.new(slot, 1).save(force_insert=True)
        history.commits(0, slot, 1)
        history.ends(slot, 1)
    return rows


def by_heat(slots: Sequence[int], count: int, draw: random.Random) -> list[int]:
    """Draw slots, the first the hottest: a Zipf distribution without its peak, which one dead writer would take out."""
    weights = list(itertools.accumulate(1 / (PEAK + rank) for rank in range(len(slots))))
    return draw.choices(slots, cum_weights=weights, k=count)
