"""Reads the log in the order of commits, and removes its oldest changes.

PostgreSQL: a change is final once every transaction up to its own has ended: when the transaction's id is below the
`xmin` of a snapshot. Only final changes are read, ordered by transaction and id, so no change can appear before a
position that was read. SQLite has one writer at a time, so the ids alone are in the order of commits.
"""

import datetime as dt
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, NamedTuple

from django.db import connection, transaction

from conversations.changes.history import current_history, only_row
from conversations.models import Change, ChangeHistory

SCANNED_ROWS = 10_000  # positions among which one call searches
STEP_ROWS = 5000  # changes that one step of retention removes

_TABLE = "conversations_change"
_COLUMNS = ("transaction_id", "id", "instance_id", "conversation_id", "row_id", "resource", "kind")
# A change without the id of an instance or of a conversation is a `reset` of all.
_OTHERS = {
    "instance_id": " OR instance_id IS NULL",
    "resource": "",
    "conversation_id": " OR (kind = 'reset' AND resource NOT IN ('instance', 'contact'))",
}


class Position(NamedTuple):
    """A place in the log: all changes up to this one come before it, all later ones after it."""

    transaction: int
    id: int


class Entry(NamedTuple):
    """One row of the log."""

    transaction: int
    id: int
    instance_id: int | None
    conversation_id: int | None
    row_id: int | None
    resource: str
    kind: str

    @property
    def position(self) -> Position:
        """The position after this change."""
        return Position(self.transaction, self.id)


@dataclass(frozen=True)
class Selection:
    """Which changes a reader wants and may see; None stands for all.

    Attributes:
        instances: the primary keys of instances.
        resources: names of `Change.Resource`.
        conversations: the primary keys of conversations.
    """

    instances: frozenset[int] | None = None
    resources: frozenset[str] | None = None
    conversations: frozenset[int] | None = None

    def concerns(self, entry: "Entry") -> bool:
        """Return whether a change is selected, as `_condition` says it in SQL."""
        is_reset_of_chats = entry.kind == "reset" and entry.resource not in ("instance", "contact")
        return (
            (self.instances is None or entry.instance_id is None or entry.instance_id in self.instances)
            and (self.resources is None or entry.resource in self.resources)
            and (self.conversations is None or entry.conversation_id in self.conversations or is_reset_of_chats)
        )


@dataclass(frozen=True)
class Window:
    """Some successive changes.

    Attributes:
        entries: the selected ones.
        end: the position after all changes that were searched.
        is_last: whether no final change comes after `end`.
    """

    entries: list[Entry]
    end: Position
    is_last: bool


def head() -> Position:
    """Return the present position: every change after it is still to come, or was committed just now."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            return Position(cursor.fetchone()[0], 0)
        cursor.execute(f"SELECT transaction_id, id FROM {_TABLE} ORDER BY id DESC LIMIT 1")  # noqa: S608 - a constant
        return Position(*(cursor.fetchone() or (0, 0)))


def read(after: Position, selection: Selection, limit: int, until: Position | None = None) -> Window:
    """Return the selected changes among the next `SCANNED_ROWS` after a position, and `limit` of them at most.

    `until` is an earlier end of the log, after which nothing is read.
    """
    end = until or head()  # before the rows, so that all changes up to it are visible to the queries below
    entries = _select(after, end, limit, selection, scanned=SCANNED_ROWS)
    if len(entries) == limit:
        return Window(entries, entries[-1].position, is_last=False)
    last = _select(after, end, 1, Selection(), scanned=SCANNED_ROWS, skipped=SCANNED_ROWS - 1)
    return Window(entries, last[0].position, is_last=False) if last else Window(entries, end, is_last=True)


def _select(  # noqa: PLR0913 - the parts of one statement
    after: Position, end: Position, limit: int, selection: Selection, *, scanned: int, skipped: int = 0
) -> list[Entry]:
    """Return some of the next `scanned` final changes after a position; `skipped` of these are left out."""
    between, bounds = _between(after, end)
    condition, values = _condition(selection)
    order = ", ".join(_order())
    statement = f"""
        SELECT {", ".join(_COLUMNS)} FROM (
            SELECT * FROM {_TABLE} WHERE {between} ORDER BY {order} LIMIT %s OFFSET %s
        ) AS scanned WHERE {condition} ORDER BY {order} LIMIT %s
    """  # noqa: S608 - constants
    with connection.cursor() as cursor:
        cursor.execute(statement, [*bounds, scanned - skipped, skipped, *values, limit])
        return [Entry(*row) for row in cursor.fetchall()]


def _order() -> tuple[str, ...]:
    return ("transaction_id", "id") if connection.vendor == "postgresql" else ("id",)


def _between(after: Position, end: Position) -> tuple[str, list[int]]:
    """Return the condition of the changes after a position and up to another one."""
    if connection.vendor == "postgresql":
        return "(transaction_id, id) > (%s, %s) AND (transaction_id, id) <= (%s, %s)", [*after, *end]
    return "id > %s AND id <= %s", [after.id, end.id]


def _condition(selection: Selection) -> tuple[str, list[Any]]:
    """Return the condition of the selected changes, and its values."""
    conditions, values = ["true"], list[Any]()
    allowed = (selection.instances, selection.resources, selection.conversations)
    for chosen, (column, others) in zip(allowed, _OTHERS.items(), strict=True):
        if chosen is not None:
            wanted = f"{column} IN ({', '.join(['%s'] * len(chosen))})" if chosen else "false"
            conditions.append(f"({wanted}{others})")
            values += chosen
    return " AND ".join(conditions), values


def kinds_of_changes(after: Position, until: Position, limit: int) -> list[Entry] | None:
    """Return one change of each combination of instance, conversation, resource and kind between two positions.

    Returns:
        None if there are more than `limit` combinations.
    """
    between, bounds = _between(after, until)
    statement = f"""
        SELECT DISTINCT 0, 0, instance_id, conversation_id, NULL, resource, kind FROM {_TABLE} WHERE {between} LIMIT %s
    """  # noqa: S608 - constants
    with connection.cursor() as cursor:
        cursor.execute(statement, [*bounds, limit + 1])
        found = [Entry(*row) for row in cursor.fetchall()]
    return found if len(found) <= limit else None


# --- which positions are known ----------------------------------------------------------------------------------------
def is_possible(position: Position, *, floor: Position) -> bool:
    """Return whether this log can have given out a position that is not before `floor`."""
    now = head()
    if connection.vendor == "postgresql":
        return position.transaction <= now.transaction
    if position in (now, floor) or position.id == 0:
        return True
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {_TABLE} WHERE id = %s AND transaction_id = %s", [position.id, position[0]])  # noqa: S608 - a constant
        return cursor.fetchone() is not None


def is_before(position: Position, other: Position) -> bool:
    """Return whether a position comes before another one."""
    return position < other if connection.vendor == "postgresql" else position.id < other.id


# --- retention --------------------------------------------------------------------------------------------------------
def removed_until(history: str) -> Position:
    """Return the position up to which retention has removed changes of a history."""
    row = only_row()
    if row.removed_history != history:
        return Position(0, 0)
    return Position(row.removed_transaction, row.removed_id)


def remove_old(before: dt.datetime) -> int:
    """Remove up to `STEP_ROWS` of the first changes, if they are older than `before`; return their number.

    The last change of the log stays, because SQLite recognizes the position after it by its number.
    """
    history = current_history()
    with transaction.atomic():
        row = ChangeHistory.objects.select_for_update().get()
        first = Change.objects.order_by(*_order()).values_list("transaction_id", "pk", "at")[: STEP_ROWS + 1]
        old = [Position(*place) for *place, at in takewhile(lambda one: one[2] < before, list(first)[:-1])]
        if old:
            row.removed_transaction, row.removed_id, row.removed_history = *old[-1], history
            row.save()
            with connection.cursor() as cursor:
                between, bounds = _between(Position(0, 0), old[-1])
                cursor.execute(f"DELETE FROM {_TABLE} WHERE {between}", bounds)  # noqa: S608 - constants
    return len(old)
