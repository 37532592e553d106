"""Merges latest-state values of instances, contacts and conversations: the value with the latest clock wins.

The clock of each field is stored in `models.StateClock`, so that an event that repeats a value does not write the row
of the contact or conversation.
"""

from bisect import insort
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection

from conversations.db import bulk
from conversations.evolution.facts import Values
from conversations.ingest.apply import merge_rules
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, Conversation, Instance, StateClock
from conversations.models.state_clock import INSTANCE, LABEL

StatefulRow = Instance | Contact | Conversation

# Labels kept of an instance or a conversation, with those that were deleted or detached; WhatsApp permits 20. Of more,
# the first in alphabetical order stay, whatever the order of events, because each webhook request reads the instance's
# row, and each new label writes all labels of its row.
MAX_KEPT_LABELS = 200


def subject_for(row: StatefulRow) -> str:
    """Return the `StateClock.subject` of a row."""
    return INSTANCE if isinstance(row, Instance) else row.clock_subject.name


def newer_values(row: StatefulRow, clocks: Mapping[str, str], values: Values, clock: str) -> dict[str, Any]:
    """Return the new values that are newer than the row's current values, without changing the row.

    Args:
        row: the row with the current values.
        clocks: the clocks of the current values, by field name.
        values: new values by field name; the name `label:<id>` stands for one label.
        clock: the clock of the new values.
    """
    return {
        name: value
        for name, value in values.items()
        if merge_rules.is_newer(_get(row, name), clocks.get(name, ""), value, clock)
    }


class LatestState:
    """The latest-state clocks of a batch's rows, loaded with one query and saved at the end of the batch."""

    def __init__(self, instance: Instance, subjects: Iterable[str]) -> None:
        """Load the clocks of `subjects`."""
        self._instance = instance
        names = set(subjects)
        rows = StateClock.objects.filter(instance=instance, subject__any_of=names) if names else ()
        known = {row.subject: row for row in rows}
        self._rows = {name: known.get(name) or StateClock(instance=instance, subject=name) for name in names}
        self._new = names - known.keys()
        self._changed: dict[str, StateClock] = {}
        self._deleted: set[str] = set()
        self._label_ids: dict[StatefulRow, list[str]] = {}  # sorted, of rows whose labels nothing else refers to

    def apply(self, row: StatefulRow, values: Values, clock: str, changes: UnitOfWork) -> set[str]:
        """Set the new values that are newer than the row's current values; return the names of the changed fields."""
        subject = subject_for(row)
        clocks = self._rows[subject].clocks
        changed: set[str] = set()
        for name, value in newer_values(row, clocks, values, clock).items():
            label = name.removeprefix(LABEL) if name.startswith(LABEL) else None
            if label is not None and not self._has_room(row, label):
                continue
            if clock != clocks.get(name, ""):
                clocks[name] = clock
                self._changed[subject] = self._rows[subject]
            if value == _get(row, name):
                continue
            if label is not None:
                self._set_label(row, label, value, clocks)
                changes.mark(row, {"labels"})
                changed.add("labels")
            else:
                changed |= changes.set(row, **{_column(row, name): value})
        return changed

    def _has_room(self, row: Any, label: str) -> bool:
        """Return whether a row keeps a label, for which it may have to forget another."""
        return label in row.labels or len(row.labels) < MAX_KEPT_LABELS or label < self._own_labels(row)[-1]

    def _set_label(self, row: Any, label: str, value: Any, clocks: dict[str, str]) -> None:
        """Set a label of a row, and forget the last of its labels if there are too many."""
        ids = self._own_labels(row)
        if label not in row.labels:
            insort(ids, label)
        row.labels[label] = value
        for forgotten in ids[MAX_KEPT_LABELS:]:
            del row.labels[forgotten]
            clocks.pop(f"{LABEL}{forgotten}", None)
        del ids[MAX_KEPT_LABELS:]

    def _own_labels(self, row: Any) -> list[str]:
        """Return the sorted ids of a row's labels, which are copied only once: a batch may change thousands of them."""
        if row not in self._label_ids:
            row.labels = dict(row.labels)
            self._label_ids[row] = sorted(row.labels)
        return self._label_ids[row]

    def merge(self, row: StatefulRow, other: StatefulRow, names: Iterable[str], changes: UnitOfWork) -> None:
        """Copy values and labels of `other` that are newer than those of `row` to `row`; delete clocks of `other`."""
        clocks = self._rows[subject_for(other)].clocks
        labels = [f"{LABEL}{label}" for label in getattr(other, "labels", {})]
        for name in (*names, *labels):
            self.apply(row, {name: _get(other, name)}, clocks.get(name, ""), changes)
        self._deleted.add(subject_for(other))

    def rename(self, subject: str, new: str) -> None:
        """Give the clocks of one subject to another, in place of its own."""
        clocks = self._rows[subject].clocks
        if clocks != self._rows[new].clocks:
            self._rows[new].clocks = clocks
            self._changed[new] = self._rows[new]
        self._changed.pop(subject, None)
        self._deleted.add(subject)

    def shown_name(self, contact: Contact) -> str:
        """Return the name to show: the one given here, or else that of the phone (see `Contact.phone_name`)."""
        clocks = self._rows[subject_for(contact)].clocks
        return contact.custom_name or contact.phone_name(clocks, self._instance.own_names)

    def save(self) -> None:
        """Write the changed clocks to the database, and delete those of rows that are gone."""
        changed, self._changed = self._changed, {}
        bulk.bulk_insert(connection, [row for name, row in changed.items() if name in self._new])
        bulk.bulk_update(connection, [row for name, row in changed.items() if name not in self._new], ["clocks"])
        self._new -= changed.keys()
        if self._deleted:
            StateClock.objects.filter(instance=self._instance, subject__any_of=self._deleted).delete()
            self._deleted = set()


def _get(row: StatefulRow, name: str) -> Any:
    if name.startswith(LABEL):
        return getattr(row, "labels", {}).get(name.removeprefix(LABEL))
    return getattr(row, _column(row, name))


def _column(row: StatefulRow, name: str) -> str:
    """Return the column of a field; `name` holds the name that is shown, which people may have changed here."""
    return row.original_name_column if name == "name" and isinstance(row, Conversation) else name
