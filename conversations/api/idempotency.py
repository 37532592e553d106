"""Lets a client repeat a request that creates something (draft-ietf-httpapi-idempotency-key-header).

A repetition with the same `Idempotency-Key` gets the stored answer of the first request and creates nothing. The answer
is stored in the transaction that creates. Keys of different tokens have nothing to do with each other.
"""

import json
import re
from collections.abc import Callable
from functools import partial, wraps
from hashlib import blake2b
from typing import Any, cast

from django.db import transaction
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from conversations.access.policy import Access
from conversations.models import IdempotentRequest
from conversations.models.idempotent_request import ASKER_CHARS, DIGEST_CHARS

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEY = re.compile(r'"?([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"?')
# HTTP removes spaces at the ends of a value.
VALUE_PATTERN = r"^[!#-\[\]-~]([ !#-\[\]-~]{0,253}[!#-\[\]-~])?$"
PARAMETER = OpenApiParameter(
    HEADER,
    {"type": "string", "pattern": VALUE_PATTERN},
    location=OpenApiParameter.HEADER,
    description="A random text, such as a UUID. A repetition within 24 hours gets the same answer and creates nothing.",
)
View = Callable[..., Response]


class RequestInProgress(APIException):
    """Answers a repetition of a request that still runs."""

    status_code = 409
    default_code = "request_in_progress"
    default_detail = _("The first request with this Idempotency-Key still runs. Ask again.")
    wait = 1


class AnswerNotStored(APIException):
    """Answers a repetition of a request whose answer cannot be shown again."""

    status_code = 409
    default_code = "answer_not_stored"
    default_detail = _("The first request with this Idempotency-Key succeeded. Its answer cannot be shown again.")


class KeyReused(APIException):
    """Answers a different request with a key that was used already."""

    status_code = 422
    default_code = "idempotency_key_reused"
    default_detail = _("This Idempotency-Key was used with another request.")


def idempotent(*, shows_secret: bool = False) -> Callable[[View], View]:
    """Return a decorator for a method of a view that creates something.

    Args:
        shows_secret: whether the answer contains a secret; such an answer is never stored, and a repetition gets 409.
    """

    def decorate(create: View) -> View:
        @wraps(create)
        def run(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
            key = key_of(request)
            if key is None:
                return create(self, request, *args, **kwargs)
            asker = cast("Access", request.auth)
            fingerprint, access = fingerprint_of(request), access_hash(asker)
            row, must_run = IdempotentRequest.objects.begin(digest_of(asker, key), fingerprint, access)
            if not must_run:
                return repeat(row, fingerprint, access)
            try:
                return run_first(row, partial(create, self, request, *args, **kwargs), shows_secret=shows_secret)
            except BaseException:
                IdempotentRequest.objects.forget(row)
                raise

        return cast("View", extend_schema(parameters=[PARAMETER])(run))

    return decorate


def run_first(row: IdempotentRequest, create: View, *, shows_secret: bool) -> Response:
    """Create something, and store the answer in the same transaction.

    Raises:
        RequestInProgress: a repetition has taken over, because this request took too long; nothing is created.
    """
    with transaction.atomic():
        response = create()
        content = "" if shows_secret else JSONRenderer().render(response.data).decode()
        if not IdempotentRequest.objects.finish(row, response.status_code, content):
            raise RequestInProgress
    return response


def repeat(row: IdempotentRequest, fingerprint: str, access: str) -> Response:
    """Return the answer to a repetition.

    Raises:
        KeyReused: the request is not a repetition.
        RequestInProgress: the first request still runs.
        AnswerNotStored: the answer contained a secret, or the asker is no longer permitted the same.
    """
    if row.fingerprint != fingerprint:
        raise KeyReused
    if not row.status:
        raise RequestInProgress
    if not row.content or row.access != access:
        raise AnswerNotStored
    return Response(json.loads(row.content), row.status, headers={REPLAYED: "true"})


def key_of(request: Request) -> str | None:
    """Return the request's key, which may stand in quotation marks; None without one.

    Raises:
        ValidationError: the key is empty, too long, or has characters other than printable ASCII.
    """
    header = request.headers.get(HEADER)
    if header is None:
        return None
    found = KEY.fullmatch(header.strip())
    if found is None:
        raise ValidationError(
            {HEADER: [ErrorDetail(str(_("Must be 1 to 255 printable ASCII characters.")), "invalid")]}
        )
    return found[1]


def digest_of(access: Access, key: str) -> str:
    """Return a hash of whose key it is, followed by one of the key: that of a token or, in a session, of a user."""
    asker = access.token_id, access.user_id
    return (_hash(*asker)[:ASKER_CHARS] + _hash(*asker, key))[:DIGEST_CHARS]


def fingerprint_of(request: Request) -> str:
    """Return a hash of a request's method, path, query and body."""
    return _hash(request.method, request.path_info, request.META.get("QUERY_STRING", ""), request.body)


def access_hash(access: Access) -> str:
    """Return a hash of the asker's rights."""
    limit = None if access.limited_to is None else sorted(access.limited_to)
    return _hash(access.is_administrator, sorted(access.roles.items()), sorted(access.scopes), limit)


def _hash(*parts: object) -> str:
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()
