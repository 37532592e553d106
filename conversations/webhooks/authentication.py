"""Who posts: the webhook token a request carries, and the instance whose token it is."""

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
    """Return the instance of that name, on whatever server, whose webhook token the request carries.

    Raises:
        Refused: no instance has that name, or none of them that token.
    """
    candidates = instances.find_by_name(name)
    if not candidates:
        raise WebhookError(
            ErrorCode.UNKNOWN_INSTANCE, f"no instance is named {name!r}; `manage.py webhook_token` creates it"
        )
    token = token_of(request)
    if not token:
        raise WebhookError(
            ErrorCode.UNAUTHORIZED, "no token; send it as `Authorization: Bearer …`, `X-Webhook-Token: …` or `?token=…`"
        )
    digest, now = hash_token(token), timezone.now()
    for instance in candidates:
        if _accepts(instance, digest, now):
            return instance
    raise WebhookError(ErrorCode.UNAUTHORIZED, f"not a valid webhook token of instance {name!r}")


def token_of(request: HttpRequest) -> str:
    """Return the first token in the request: of its Authorization, of its X-Webhook-Token, of its URL; "" for none."""
    bearer = _BEARER.fullmatch(request.headers.get("Authorization", "").strip())
    in_headers = bearer[1] if bearer else request.headers.get("X-Webhook-Token", "").strip()
    return in_headers or _in_url(request)[0]


def event_in_query(request: HttpRequest) -> str:
    """Return the event that a global webhook by events leaves behind its token: `?token=abc/messages-upsert`."""
    return _in_url(request)[1]


def _in_url(request: HttpRequest) -> tuple[str, str]:
    # Evolution joins `/` and the event to the very end of a URL, whatever stands there. No token of ours has a slash.
    token, _, suffix = request.GET.get("token", "").partition("/")
    return token.strip(), suffix.strip("/")


def _accepts(instance: Instance, digest: str, now: dt.datetime) -> bool:
    until = instance.previous_token_until
    previous = instance.previous_token_hash if until and now < until else ""
    # No token yet is stored as "", which is no digest of anything.
    return any(secrets.compare_digest(stored, digest) for stored in (instance.token_hash, previous))
