"""Keyset pages: a bounded slice of an ordered queryset, and opaque cursors to the slices beside it.

A page costs the same however deep it lies, and rows that arrive while someone turns pages neither repeat nor hide
others (https://use-the-index-luke.com/no-offset). The order must end in a unique field and hold no nulls.
"""

import base64
import datetime as dt
import json
import zlib
from collections.abc import Sequence
from typing import Any, Literal, TypeVar, cast

from django.core.exceptions import ValidationError
from django.db.models import Field, Model, Q, QuerySet

from cachelayer import Page

Row = TypeVar("Row", bound=Model)
Direction = Literal["next", "previous"]

LONGEST_CURSOR = 4096  # characters; a text of 255 fits, however it is escaped


class InvalidCursor(ValueError):
    """The cursor is not one that this order has given out."""


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
        next_cursor=_cursor("next", rows[-1], order) if rows and has_next else "",
        previous_cursor=_cursor("previous", rows[0], order) if rows and has_previous else "",
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


def _cursor(direction: Direction, row: Model, order: Sequence[str]) -> str:
    return _encode(direction, type(row), order, [getattr(row, name.lstrip("-")) for name in order])


def _encode(direction: Direction, model: type[Model], order: Sequence[str], edge: Sequence[Any]) -> str:
    values = [value.astimezone(dt.UTC).isoformat() if isinstance(value, dt.datetime) else value for value in edge]
    text = json.dumps([_list_name(model, order), direction, *values], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decode(cursor: str, model: type[Model], order: Sequence[str]) -> tuple[Direction, list[Any]]:
    """Read a cursor back. It is good when what it says is written as exactly the same cursor again."""
    try:
        if len(cursor) > LONGEST_CURSOR:
            raise InvalidCursor("the cursor is too long")
        _, direction, *values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        edge = [_value(model, name.lstrip("-"), value) for name, value in zip(order, values, strict=True)]
        if direction not in ("next", "previous") or _encode(direction, model, order, edge) != cursor:
            raise InvalidCursor("the cursor is not one of this list's")
    except (ValueError, TypeError, OverflowError, RecursionError, ValidationError) as error:
        raise InvalidCursor("the cursor is not one of this list's") from error
    return direction, edge


def _value(model: type[Model], name: str, value: Any) -> Any:
    """Return a field's value as Python has it, one that the field can hold."""
    field = cast("Field[Any, Any]", model._meta.get_field(name))  # noqa: SLF001 - Django's documented way to a field
    value = field.to_python(value)
    if value is None or (isinstance(value, str) and "\0" in value):
        raise InvalidCursor("no list is ordered by nulls, and no text holds a NUL character")
    field.run_validators(value)
    return value


def _list_name(model: type[Model], order: Sequence[str]) -> int:
    """Name a list, by its rows and their order: no other list takes its cursors."""
    return zlib.crc32(" ".join([model._meta.label_lower, *order]).encode())  # noqa: SLF001 - likewise
