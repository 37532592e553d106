"""Latest-state values of instances, contacts and conversations: each with the clock at which it was said.

The clocks are kept in `models.StateClock`, so that a value said again leaves the row itself alone.
"""

from collections.abc import Iterable
from typing import Any

from django.db import connection

from conversations.db import bulk
from conversations.evolution.facts import Values
from conversations.ingest.apply import merge_rules
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, Conversation, Instance, StateClock

Subject = Instance | Contact | Conversation
LABEL = "label:"


def subject_for(row: Subject) -> str:
    """Return the name under which a row's clocks are kept."""
    if isinstance(row, Instance):
        return "instance"
    if isinstance(row, Contact):
        return contact_subject(row.pk)
    return direct_subject(row.contact_id) if row.contact_id else chat_subject(row.jid)


def contact_subject(contact_id: int) -> str:
    """Return a contact's name here."""
    return f"contact:{contact_id}"


def direct_subject(contact_id: int) -> str:
    """Return the name of a contact's conversation here."""
    return f"direct:{contact_id}"


def chat_subject(jid: str) -> str:
    """Return the name of a group's or a list's conversation here."""
    return f"chat:{jid}"


class LatestState:
    """The clocks of a batch's rows, loaded once and written once."""

    def __init__(self, instance: Instance, subjects: Iterable[str]) -> None:
        """Load the clocks of `subjects`."""
        self._instance = instance
        names = set(subjects)
        rows = StateClock.objects.filter(instance=instance, subject__in=names) if names else ()
        known = {row.subject: row for row in rows}
        self._rows = {name: known.get(name) or StateClock(instance=instance, subject=name) for name in names}
        self._new = names - known.keys()
        self._changed: dict[str, StateClock] = {}

    def apply(self, row: Subject, values: Values, clock: str, changes: UnitOfWork) -> set[str]:
        """Take the values that are later than what the row has; return the names of the fields that changed."""
        subject = subject_for(row)
        clocks = self._rows[subject].clocks
        changed: set[str] = set()
        for name, value in values.items():
            current, known = _get(row, name), clocks.get(name, "")
            if not merge_rules.is_newer(current, known, value, clock):
                continue
            if clock != known:
                clocks[name] = clock
                self._changed[subject] = self._rows[subject]
            changed |= changes.set(row, **_field(row, name, value))
        return changed

    def merge(self, row: Subject, other: Subject, names: Iterable[str], changes: UnitOfWork) -> None:
        """Take of `other`'s values those that are later, and forget `other`."""
        clocks = self._rows[subject_for(other)].clocks
        labels = [f"{LABEL}{label}" for label in getattr(other, "labels", {})]
        for name in (*names, *labels):
            self.apply(row, {name: _get(other, name)}, clocks.get(name, ""), changes)
        StateClock.objects.filter(instance=self._instance, subject=subject_for(other)).delete()

    def save(self) -> None:
        """Write the clocks that moved."""
        changed, self._changed = self._changed, {}
        bulk.bulk_insert(connection, [row for name, row in changed.items() if name in self._new])
        bulk.bulk_update(connection, [row for name, row in changed.items() if name not in self._new], ["clocks"])
        self._new -= changed.keys()


def _get(row: Subject, name: str) -> Any:
    if name.startswith(LABEL):
        return getattr(row, "labels", {}).get(name.removeprefix(LABEL))
    return getattr(row, name)


def _field(row: Subject, name: str, value: Any) -> dict[str, Any]:
    if name.startswith(LABEL):
        return {"labels": {**getattr(row, "labels", {}), name.removeprefix(LABEL): value}}
    return {name: value}
