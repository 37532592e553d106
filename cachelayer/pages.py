"""Keyset pages: a bounded slice of an ordered queryset, and opaque cursors to the slices beside it.

A page costs the same however deep it lies, and rows that arrive while someone turns pages neither repeat nor hide
others (https://use-the-index-luke.com/no-offset). The order must end in a unique field and hold no nulls.
"""

import base64
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, cast

from django.core.exceptions import ValidationError
from django.db.models import Field, Model, Q, QuerySet

Row = TypeVar("Row", bound=Model)
Direction = Literal["next", "previous"]


class InvalidCursor(ValueError):
    """The cursor is not one that this order has given out."""


@dataclass(frozen=True)
class Page(Generic[Row]):
    """At most `limit` rows in order, and the cursors of the pages around them ("" where there is none)."""

    rows: list[Row]
    next_cursor: str = ""
    previous_cursor: str = ""


def keyset_page(queryset: QuerySet[Row], order: Sequence[str], *, cursor: str = "", limit: int) -> Page[Row]:
    """Read one page.

    Args:
        queryset: the rows, filtered and not yet ordered.
        order: field names, each with `-` for descending; the last is unique.
        cursor: "" for the first page, else a cursor of a page read in the same order.
        limit: rows a page at most, 1 or more.

    Raises:
        InvalidCursor: `cursor` was not made by this function for this order.
    """
    direction, edge = _decode(cursor, queryset.model, order) if cursor else ("next", None)
    forward = direction == "next"
    wanted = order if forward else [_reversed(name) for name in order]
    if edge is not None:
        queryset = queryset.filter(_beyond(wanted, edge))
    rows = list(queryset.order_by(*wanted)[: limit + 1])
    more, rows = len(rows) > limit, rows[:limit]
    if not forward:
        rows.reverse()
    # Coming from a page, that page is still there on the side we came from.
    has_next = more if forward else bool(edge)
    has_previous = bool(edge) if forward else more
    return Page(
        rows,
        next_cursor=_encode("next", rows[-1], order) if rows and has_next else "",
        previous_cursor=_encode("previous", rows[0], order) if rows and has_previous else "",
    )


def _reversed(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _beyond(order: Sequence[str], edge: Sequence[Any]) -> Q:
    """Rows strictly after `edge`; the first, redundant bound lets the database start its index scan there."""
    steps = [(name.lstrip("-"), "lt" if name.startswith("-") else "gt") for name in order]
    beyond = Q()
    for depth, (field, comparison) in enumerate(steps):
        equal = {steps[i][0]: edge[i] for i in range(depth)}
        beyond |= Q(**equal, **{f"{field}__{comparison}": edge[depth]})
    first, comparison = steps[0]
    return Q(**{f"{first}__{comparison}e": edge[0]}) & beyond


def _value(model: type[Model], name: str, value: Any) -> Any:
    field = model._meta.get_field(name)  # noqa: SLF001 - Django's documented way to a field
    return cast("Field[Any, Any]", field).to_python(value)


def _encode(direction: Direction, row: Model, order: Sequence[str]) -> str:
    values = [getattr(row, name.lstrip("-")) for name in order]
    text = json.dumps([direction, *[v.isoformat() if isinstance(v, dt.datetime) else v for v in values]])
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decode(cursor: str, model: type[Model], order: Sequence[str]) -> tuple[Direction, list[Any]]:
    try:
        direction, *values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if direction not in ("next", "previous"):
            raise InvalidCursor("the cursor has no direction")
        names = [name.lstrip("-") for name in order]
        return direction, [_value(model, name, value) for name, value in zip(names, values, strict=True)]
    except (ValueError, TypeError, ValidationError) as error:
        raise InvalidCursor("the cursor is not one of this list's") from error
