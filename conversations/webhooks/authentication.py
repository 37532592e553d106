"""Authenticates a webhook request: finds the instance whose webhook token the request carries.

A token is accepted by the cached rows of the instances. A request is refused only after a look into the database,
because Evolution drops an event that is answered with 401 or 404, and the cache may lag behind a new token.
"""

import datetime as dt
import re
import secrets
from collections.abc import Iterable
from urllib.parse import parse_qsl

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from conversations.ingest import metrics
from conversations.models import Instance
from conversations.models.instance import hash_token
from conversations.webhooks import instances
from conversations.webhooks.errors import ErrorCode, WebhookError
from logs.line_limit import shorten

_BEARER = re.compile(r"(?:^|,)\s*bearer\s+([^\s,]+)", re.IGNORECASE)
# The names of the places are not written as in a request, because the redaction of logs would mask what follows them.
HOW_TO_SEND = _(
    "no token; send it in the header Authorization as a Bearer token, in the header X-Webhook-Token, or in the URL's"
    " parameter named token"
)


def authenticate(request: HttpRequest, name: str) -> Instance:
    """Return the instance, on any Evolution server, that has the name `name` and a webhook token of the request.

    Raises:
        WebhookError: no instance is named `name`; or the token is missing or wrong; or so many requests are wrong that
            this one cannot be checked now.
        DatabaseError, InterfaceError: the database is unavailable.
    """
    digests, candidates = [hash_token(token) for token in request_tokens(request)], instances.find_by_name(name)
    if not digests:
        raise _refusal(candidates, HOW_TO_SEND)
    if sender := _find_sender(candidates, digests):
        return sender
    candidates = instances.find_in_database(name)
    if sender := _find_sender(candidates, digests):
        return sender
    if not candidates:
        text = _("no instance is named %(name)r; `manage.py webhook_token` creates it")
        raise WebhookError(ErrorCode.UNKNOWN_INSTANCE, text, name=shorten(name))
    raise _refusal(candidates, _("not a valid webhook token of instance %(name)r"), name=shorten(name))


def _refusal(candidates: Iterable[Instance], text: str, **values: object) -> WebhookError:
    """Count a request without a valid token for each instance that it may be meant for, and return its error."""
    for instance in candidates:
        metrics.increment(instance.pk, "refused")
    return WebhookError(ErrorCode.UNAUTHORIZED, text, **values)


def request_tokens(request: HttpRequest) -> list[str]:
    """Return all webhook tokens in `Authorization`, `X-Webhook-Token` and the URL, without duplicates.

    Every token is tried, because a proxy or Evolution's `jwt_key` may add an `Authorization` header of its own. WSGI
    servers join equal headers with commas.
    """
    bearers = _BEARER.findall(request.headers.get("Authorization", ""))
    headers = request.headers.get("X-Webhook-Token", "").split(",")
    parameters = [token for token, _ in _token_parameters(request)]
    return [token for token in dict.fromkeys(map(str.strip, [*bearers, *headers, *parameters])) if token]


def event_in_query(request: HttpRequest) -> str:
    """Return the event's name that follows the token in the URL (`?token=abc/messages-upsert`); "" without a name."""
    return next((event for _, event in _token_parameters(request) if event), "")


def _token_parameters(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the webhook token and the event's name of each parameter `token` in the URL.

    If Evolution's global webhook is set to "by events", Evolution appends `/` and the event's name to the URL, even
    after a query string. Webhook tokens of this project contain no slash.
    """
    query = parse_qsl(request.META.get("QUERY_STRING", ""))  # Django's `request.GET` refuses many parameters
    parts = [value.partition("/") for name, value in query if name == "token"]
    return [(token, event.strip("/")) for token, _, event in parts]


def _find_sender(candidates: Iterable[Instance], digests: Iterable[str]) -> Instance | None:
    """Return the instance that has a token with one of these digests, or None."""
    now = timezone.now()
    return next((instance for instance in candidates if _has_token(instance, digests, now)), None)


def _has_token(instance: Instance, digests: Iterable[str], now: dt.datetime) -> bool:
    expires_at = instance.previous_token_until
    previous = instance.previous_token_hash if expires_at and now < expires_at else ""
    # An instance without a token has the hash "", which never equals the digest of a token.
    return any(
        secrets.compare_digest(stored, digest) for stored in (instance.token_hash, previous) for digest in digests
    )
