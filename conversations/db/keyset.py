"""Keyset pagination: a page of an ordered list, with opaque cursors to the next and the previous page.

Reading a page costs the same, however far the page is from the first one. If rows are inserted or deleted between two
requests, no other row is repeated or skipped (https://use-the-index-luke.com/no-offset). The last field of the order
must be unique, and no field of the order may be null. A list may have parts (`conversations.db.parts`).
"""

import base64
import datetime as dt
import json
import zlib
from collections.abc import Sequence
from typing import Any, Literal, TypeVar, cast

from django.core.exceptions import ValidationError
from django.db.models import Field, Model, Q, QuerySet
from django.utils.translation import gettext_noop as _

from cachelayer import Page
from conversations.db.page_bytes import MAX_PAGE_BYTES
from conversations.db.parts import Parts, first_rows

Row = TypeVar("Row", bound=Model)
Direction = Literal["next", "previous"]

MAX_CURSOR_CHARS = 4096  # enough for a cursor with a text field of 255 escaped characters


class InvalidCursor(ValueError):
    """A cursor is malformed, or was created for another list than the one that is read."""


def keyset_page(
    rows: QuerySet[Row] | Parts[Row],
    order: Sequence[str],
    *,
    cursor: str = "",
    limit: int,
    max_bytes: int = MAX_PAGE_BYTES,
) -> Page[Row]:
    """Read one page of a list. The first page has a cursor to a previous page too, which finds rows that come later.

    Args:
        rows: all rows of the list, filtered but not ordered, with columns of their own table alone.
        order: names of the fields to order by, with `-` for descending order; the last field must be unique.
        cursor: "" for the first page, or a cursor from a page with the same order.
        limit: maximum number of rows on the page, at least 1.
        max_bytes: a page ends with the row that reaches this sum of bytes, even with fewer rows (see `page_bytes`).

    Raises:
        InvalidCursor: `cursor` was not created by this function for this model and order.
    """
    direction, boundary = _decode(cursor, rows.model, order) if cursor else ("next", None)
    is_forward = direction == "next"
    scan_order = order if is_forward else [_reverse(name) for name in order]
    if boundary is not None:
        rows = rows.filter(_is_after(scan_order, boundary))
    found, has_more = first_rows(rows, scan_order, limit, max_bytes)
    if not found:
        # Rows that come later stand before the boundary; the same cursor finds them.
        return Page([], previous_cursor="" if is_forward else cursor)
    if not is_forward:
        found.reverse()
    has_next = has_more or not is_forward  # the page from which a cursor to a previous page was taken is a next page
    return Page(
        found,
        next_cursor=_cursor("next", found[-1], order) if has_next else "",
        previous_cursor=_cursor("previous", found[0], order),
    )


def after(model: type[Model], order: Sequence[str], cursor: str) -> Q:
    """Return the filter for the rows after the place of a cursor to a next page; an empty one for "".

    Raises:
        InvalidCursor: see `keyset_page`; also a cursor to a previous page is not valid.
    """
    if not cursor:
        return Q()
    direction, boundary = _decode(cursor, model, order)
    if direction != "next":
        raise InvalidCursor(_("the list has no previous pages"))
    return _is_after(order, boundary)


def before(order: Sequence[str], boundary: Sequence[Any]) -> Q:
    """Return the filter for the rows before the row whose fields `order` have the values `boundary`."""
    return _is_after([_reverse(name) for name in order], boundary)


def behind(order: Sequence[str], boundary: Sequence[Any]) -> Q:
    """Return the filter for the rows after the row whose fields `order` have the values `boundary`."""
    return _is_after(order, boundary)


def cursor_at(row: Model, order: Sequence[str], direction: Direction) -> str:
    """Return the cursor of the rows after a row (`next`) or before it (`previous`), without the row itself."""
    return _cursor(direction, row, order)


def _reverse(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _is_after(order: Sequence[str], boundary: Sequence[Any]) -> Q:
    """Return the filter for rows that come after the row whose fields `order` have the values `boundary`.

    The filter contains a redundant condition on the first field of the order, so that the database can start its index
    scan at the boundary.
    """
    comparisons = [(name.lstrip("-"), "lt" if name.startswith("-") else "gt") for name in order]
    condition = Q()
    for depth, (field, comparison) in enumerate(comparisons):
        equal = {comparisons[i][0]: boundary[i] for i in range(depth)}
        condition |= Q(**equal, **{f"{field}__{comparison}": boundary[depth]})
    first, comparison = comparisons[0]
    return Q(**{f"{first}__{comparison}e": boundary[0]}) & condition


def _cursor(direction: Direction, row: Model, order: Sequence[str]) -> str:
    return _encode(direction, type(row), order, [getattr(row, name.lstrip("-")) for name in order])


def _encode(direction: Direction, model: type[Model], order: Sequence[str], boundary: Sequence[Any]) -> str:
    values = [value.astimezone(dt.UTC).isoformat() if isinstance(value, dt.datetime) else value for value in boundary]
    text = json.dumps([_list_checksum(model, order), direction, *values], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decode(cursor: str, model: type[Model], order: Sequence[str]) -> tuple[Direction, list[Any]]:
    """Decode a cursor. A cursor is valid only if encoding its decoded values yields exactly the same cursor."""
    try:
        if len(cursor) > MAX_CURSOR_CHARS:
            raise InvalidCursor(_("the cursor is too long"))
        _checksum, direction, *values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        boundary = [_parse_value(model, name.lstrip("-"), value) for name, value in zip(order, values, strict=True)]
        if direction not in ("next", "previous") or _encode(direction, model, order, boundary) != cursor:
            raise InvalidCursor(_("the cursor does not belong to this list"))
    except (ValueError, TypeError, OverflowError, RecursionError, ValidationError) as error:
        raise InvalidCursor(_("the cursor does not belong to this list")) from error
    return direction, boundary


def _parse_value(model: type[Model], name: str, value: Any) -> Any:
    """Convert a JSON value from a cursor to the Python type of a model field, and validate the value."""
    field = cast("Field[Any, Any]", model._meta.get_field(name))  # noqa: SLF001 - Django documents _meta
    value = field.to_python(value)
    if value is None or (isinstance(value, str) and "\0" in value):
        raise InvalidCursor(_("a cursor contains neither nulls nor NUL characters"))
    field.run_validators(value)
    return value


def _list_checksum(model: type[Model], order: Sequence[str]) -> int:
    """Return a checksum of model and order, which makes a cursor invalid for lists of another model or order."""
    return zlib.crc32(" ".join([model._meta.label_lower, *order]).encode())  # noqa: SLF001 - Django documents _meta
