"""Reads the first rows of a list that match a search: in the order of the list, or from the index and sorted.

If more rows match than expected, the steps of `STEPS` are tried in turn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, Case, Q, QuerySet, Value, When

from conversations.db.raw import run

# For each step: the number of matching rows that are sorted, and the number of rows that are read in order.
STEPS = ((2_000, 5_000), (10_000, 10_000))
ALL = 2**31  # a limit that limits nothing

# Returns the condition for matching rows; the argument tells whether the condition may use the index.
Condition = Callable[..., Any]


@dataclass(frozen=True)
class Rows:
    """What a search reads.

    Attributes:
        every: the rows that the index contains.
        shown: which of these rows the list contains.
        order: the order of the list.
        matches: which rows match.
    """

    every: QuerySet[Any]
    shown: Q
    order: Sequence[str]
    matches: Condition


def in_steps(
    rows: Rows,
    limit: int,
    sort_few: Callable[[int], list[int] | None] | None = None,
    *,
    is_frequent: bool,
) -> list[int]:
    """Return the primary keys of the first matching rows.

    Args:
        rows: what to read.
        limit: the maximum number of rows to return.
        sort_few: returns the first of at most some matching rows, or None if more rows match.
        is_frequent: whether many rows are expected to match.
    """
    if is_frequent and (found := _scan(rows, limit, STEPS[0][1])) is not None:
        return found
    for candidates, scanned in STEPS:
        found = sort_few(candidates) if sort_few else _sort_few(rows, limit, candidates)
        if found is None:
            found = _scan(rows, limit, scanned)
        if found is not None:
            return found
    return _sort_all(rows, limit)


def _sort_few(rows: Rows, limit: int, candidates: int) -> list[int] | None:
    """Return the primary keys of the first matching rows; None if more than `candidates` rows match."""
    found, read = read_few(rows, limit, candidates)
    return found if read <= candidates else None


def read_few(rows: Rows, limit: int, candidates: int, index: Condition | None = None) -> tuple[list[int], int]:
    """Return the primary keys of the first matching rows, and how many rows the database has read for them.

    If there are more rows than `candidates`, it has read one row more, and others may be the first ones.

    The rows are read from the index alone. In the WHERE clause, `rows.shown` would let PostgreSQL read an index of
    times too, to intersect both.

    Args:
        rows: what to read.
        limit: the maximum number of rows to return, at least 1.
        candidates: the maximum number of rows to read.
        index: a condition that all matching rows fulfil, for which the index is used; None for `rows.matches`.
    """
    shown = rows.shown & Q(rows.matches(uses_index=False)) if index else rows.shown
    read = rows.every.filter((index or rows.matches)()).annotate(is_shown=_as_column(shown))
    found = run(
        "SELECT id, is_shown, COUNT(*) OVER () FROM ({}) AS found"  # noqa: S608 - names of fields
        f" ORDER BY is_shown DESC, {_order_by(rows.order)} LIMIT {limit}",
        read.values("is_shown", *_names(rows.order))[: candidates + 1],
    )
    return [pk for pk, is_shown, _ in found if is_shown], found[0][2] if found else 0


def _as_column(condition: Q) -> Case:
    """Return a condition as a column; an empty one is true."""
    conditions = [When(condition, then=Value(True))] if condition else []  # noqa: FBT003 - a value in SQL
    return Case(*conditions, default=Value(not condition), output_field=BooleanField())


def _scan(rows: Rows, limit: int, scanned: int) -> list[int] | None:
    """Return the primary keys of the first matching rows; None if too few of the first `scanned` rows match."""
    listed = rows.every.filter(rows.shown).annotate(is_match=rows.matches(uses_index=False))
    read = listed.order_by(*rows.order).values("id", "is_match")[:scanned]
    found = run(f"SELECT id FROM ({{}}) AS scanned WHERE is_match LIMIT {limit}", read)  # noqa: S608 - a number
    return [pk for (pk,) in found] if len(found) == limit else None


def _sort_all(rows: Rows, limit: int) -> list[int]:
    """Sort all matching rows; return the primary keys of the first ones.

    The limit of the inner query keeps PostgreSQL from reading the rows in order, which evaluates the condition without
    its index: 16 s instead of 0.2 s for 82,000 matches among 1,000,000 rows.
    """
    found = run(
        f"SELECT id FROM ({{}}) AS found ORDER BY {_order_by(rows.order)} LIMIT {limit}",  # noqa: S608 - names of fields
        rows.every.filter(rows.shown, rows.matches()).values(*_names(rows.order))[:ALL],
    )
    return [pk for (pk,) in found]


def _names(order: Sequence[str]) -> list[str]:
    return [name.lstrip("-") for name in order]


def _order_by(order: Sequence[str]) -> str:
    return ", ".join(f'"{name.lstrip("-")}" {"DESC" if name.startswith("-") else "ASC"}' for name in order)
