"""The model of the clocks of latest-state fields, which decide whether an event is newer than the stored state."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from django.db import connection, models
from django.utils import timezone

from conversations.db import bulk
from conversations.evolution.coerce import to_ms
from conversations.evolution.envelope import clock_after
from conversations.models.instance import Instance

INSTANCE = "instance"  # the `StateClock.subject` of the instance itself
LABEL = "label:"  # prefix of a field name that stands for one label


def contact_subject(contact_id: int) -> str:
    """Return the `StateClock.subject` of a contact."""
    return f"contact:{contact_id}"


def direct_subject(contact_id: int) -> str:
    """Return the `StateClock.subject` of the direct conversation with a contact."""
    return f"direct:{contact_id}"


def chat_subject(jid: str) -> str:
    """Return the `StateClock.subject` of a conversation that is not direct, such as a group."""
    return f"chat:{jid}"


class Subject(NamedTuple):
    """Names the row that clocks belong to: the instance, and `StateClock.subject`."""

    instance_id: int
    name: str


class StateClockManager(models.Manager["StateClock"]):
    """Gives clocks to fields that are changed here, and not by an event."""

    def stamp(self, changed: Mapping[Subject, Collection[str]]) -> dict[Subject, dict[str, str]]:
        """Give fields the present time as their clock, but a clock that is later than the known one.

        So no event that is known already undoes the change, however often it is repeated; neither does one that was
        sent before. The caller holds the instance locks.

        Args:
            changed: the names of the changed fields, by subject.

        Returns:
            All clocks of the subjects.
        """
        now = to_ms(timezone.now())
        names = {subject.name for subject in changed}
        found = self.filter(instance__in={subject.instance_id for subject in changed}, subject__any_of=names)
        known = {Subject(row.instance_id, row.subject): row for row in found}
        rows = {
            subject: known.get(subject) or StateClock(instance_id=subject.instance_id, subject=subject.name)
            for subject in changed
        }
        for subject, row in rows.items():
            row.clocks |= {name: clock_after(row.clocks.get(name, ""), now) for name in changed[subject]}
        bulk.bulk_insert(connection, [row for subject, row in rows.items() if subject not in known])
        bulk.bulk_update(connection, [row for subject, row in rows.items() if subject in known], ["clocks"])
        return {subject: row.clocks for subject, row in rows.items()}


class StateClock(models.Model):
    """The times at which the latest-state fields of one instance, contact or conversation last changed ("clocks").

    Clocks have their own table, so that an event that repeats a value does not write the row of the contact or
    conversation. `subject` names the row that the clocks belong to: `instance`, `contact:12`, `direct:12` (the direct
    conversation with contact 12) or `chat:<jid>`. `clocks` maps a field name to the `date_time` of an Evolution event.
    Evolution's `date_time` is the local time of the Evolution host, although the text ends in Z; so a clock is only
    compared with clocks of the same instance.
    """

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="+", db_index=False)
    subject = models.CharField(max_length=160)
    clocks = models.JSONField(default=dict)

    objects: StateClockManager = StateClockManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "subject"], name="state_clock")]

    def __str__(self) -> str:
        return self.subject
