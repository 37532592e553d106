"""Authenticates a webhook request: finds the instance whose webhook token the request carries."""

import datetime as dt
import re
import secrets

from django.http import HttpRequest
from django.utils import timezone

from conversations.models import Instance
from conversations.models.instance import hash_token
from conversations.webhooks import instances
from conversations.webhooks.errors import ErrorCode, WebhookError

_BEARER = re.compile(r"bearer\s+(\S+)", re.IGNORECASE)


def authenticate(request: HttpRequest, name: str) -> Instance:
    """Return the instance, on any Evolution server, that has the name `name` and the request's webhook token.

    Raises:
        WebhookError: no instance is named `name`, or the token is missing or wrong.
    """
    candidates = instances.find_by_name(name)
    if not candidates:
        raise WebhookError(
            ErrorCode.UNKNOWN_INSTANCE, f"no instance is named {name!r}; `manage.py webhook_token` creates it"
        )
    token = request_token(request)
    if not token:
        raise WebhookError(
            ErrorCode.UNAUTHORIZED, "no token; send it as `Authorization: Bearer …`, `X-Webhook-Token: …` or `?token=…`"
        )
    digest, now = hash_token(token), timezone.now()
    for instance in candidates:
        if _has_token(instance, digest, now):
            return instance
    raise WebhookError(ErrorCode.UNAUTHORIZED, f"not a valid webhook token of instance {name!r}")


def request_token(request: HttpRequest) -> str:
    """Return the first webhook token found in `Authorization`, `X-Webhook-Token` and the URL; "" without a token."""
    bearer = _BEARER.fullmatch(request.headers.get("Authorization", "").strip())
    in_headers = bearer[1] if bearer else request.headers.get("X-Webhook-Token", "").strip()
    return in_headers or _token_parameter(request)[0]


def event_in_query(request: HttpRequest) -> str:
    """Return the event's name that follows the token in the URL (`?token=abc/messages-upsert`); "" without a name."""
    return _token_parameter(request)[1]


def _token_parameter(request: HttpRequest) -> tuple[str, str]:
    """Return the webhook token and the event's name from the URL's `token` parameter.

    If Evolution's global webhook is set to "by events", Evolution appends `/` and the event's name to the URL, even
    after a query string. Webhook tokens of this project contain no slash.
    """
    token, _, suffix = request.GET.get("token", "").partition("/")
    return token.strip(), suffix.strip("/")


def _has_token(instance: Instance, digest: str, now: dt.datetime) -> bool:
    expires_at = instance.previous_token_until
    previous = instance.previous_token_hash if expires_at and now < expires_at else ""
    # An instance without a token has the hash "", which never equals the digest of a token.
    return any(secrets.compare_digest(stored, digest) for stored in (instance.token_hash, previous))
