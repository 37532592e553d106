"""Conditional changes (RFC 9110, section 13): a change with `If-Match` is refused if the row has changed meanwhile.

The row is compared while it is locked, so that of two clients that know the same version only one changes it.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.http import http_date, parse_etags, parse_http_date_safe
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import APIException, NotFound
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from cachelayer.protocol.answers import etag_of

WEAK = "W/"
IF_MATCH = OpenApiParameter(
    "If-Match",
    location=OpenApiParameter.HEADER,
    description="The `ETag` of the row as the client knows it: the change is refused if the row has changed since. A "
    "row that was read with `fields` or `expand` is changed with the same `fields` and `expand`.",
)


class PreconditionFailed(APIException):
    """Answers a change with an `If-Match` that does not name the row as it is."""

    status_code = 412
    default_code = "precondition_failed"
    default_detail = _(
        "The row has changed, or was read with other values of fields and expand. Read it again before you change it."
    )


@contextmanager
def if_unchanged(request: Request, rows: QuerySet[Any], show: Callable[[Any], Any]) -> Iterator[None]:
    """Run the block, which changes a row, only if `If-Match` permits it; lock the row until the block ends.

    Args:
        request: the request; without `If-Match` the block runs without a lock.
        rows: a query for the row.
        show: returns the data with which a GET request for the row is answered that has the same query.

    Raises:
        NotFound: the row does not exist.
        PreconditionFailed: the row is not as `If-Match` says.
    """
    known, since = request.headers.get("If-Match"), request.headers.get("If-Unmodified-Since")
    if not known and not since:
        yield
        return
    with transaction.atomic():
        row = rows.select_for_update(no_key=True).first()
        if row is None:
            raise NotFound
        etag = etag_of(JSONRenderer().render(show(row)))
        if not names(known, etag) if known else is_later(getattr(row, "updated_at", None), since or ""):
            raise PreconditionFailed
        yield


def names(known: str, etag: str) -> bool:
    """Return whether an `If-Match` names a version of a row.

    A weak ETag is accepted, because only compression makes the ETags of this API weak.
    """
    etags = parse_etags(known)
    return etags == ["*"] or f'"{etag}"' in [one.removeprefix(WEAK) for one in etags]


def is_later(changed_at: dt.datetime | None, since: str) -> bool:
    """Return whether a row has changed after the second that an `If-Unmodified-Since` names; False if unknown."""
    seconds = parse_http_date_safe(since)
    return seconds is not None and changed_at is not None and int(changed_at.timestamp()) > seconds


def shown(row: Any, data: Any) -> Response:
    """Return the answer that shows one row, with the validators for the next change of the row."""
    changed_at = getattr(row, "updated_at", None)
    response = Response(data, headers={"Last-Modified": http_date(changed_at.timestamp())} if changed_at else None)

    def add(rendered: Any) -> None:
        rendered["ETag"] = f'"{etag_of(rendered.content)}"'

    response.add_post_render_callback(add)
    return response
