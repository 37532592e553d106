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
    """Return the instance of that name, on any server, whose webhook token the request carries.

    Raises:
        WebhookError: no instance has that name, or the token is missing or wrong.
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
    """Return the request's token, from Authorization, else X-Webhook-Token, else the URL; "" if it has none."""
    bearer = _BEARER.fullmatch(request.headers.get("Authorization", "").strip())
    in_headers = bearer[1] if bearer else request.headers.get("X-Webhook-Token", "").strip()
    return in_headers or _token_parameter(request)[0]


def event_in_query(request: HttpRequest) -> str:
    """Return the event's name after the token in the URL (`?token=abc/messages-upsert`), or ""."""
    return _token_parameter(request)[1]


def _token_parameter(request: HttpRequest) -> tuple[str, str]:
    """Return the token and the event's name in the URL's `token` parameter.

    A global webhook "by events" appends `/` and the event's name to the end of the URL, even after a query string.
    Tokens issued by this project contain no slash.
    """
    token, _, suffix = request.GET.get("token", "").partition("/")
    return token.strip(), suffix.strip("/")


def _has_token(instance: Instance, digest: str, now: dt.datetime) -> bool:
    expires_at = instance.previous_token_until
    previous = instance.previous_token_hash if expires_at and now < expires_at else ""
    # An instance without a token has the hash "", which equals no digest.
    return any(secrets.compare_digest(stored, digest) for stored in (instance.token_hash, previous))
