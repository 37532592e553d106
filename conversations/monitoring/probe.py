"""The probe: sends a message through the whole site as Evolution would, and waits until it arrives at a follower.

The message goes from the webhook through ingestion to the event stream, and is then read over the API. The probe has an
instance, a user and a conversation of its own. They are ordinary rows, so that what is tested is what numbers use. Only
superusers see them, because nobody else is a member. The conversation is deleted after each run.
"""

import datetime as dt
import json
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException
from time import monotonic
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from cachelayer.runtime.histograms import SLOW, histogram
from conversations.models import ApiToken, Contact, Conversation, Instance, Membership, Role, Scope, WebhookEvent
from conversations.models.instance import hash_token
from conversations.models.stored_texts import fill
from conversations.monitoring import details
from conversations.monitoring.audit import remember
from conversations.monitoring.http_client import send
from conversations.monitoring.state import PROBE
from logs.contexts import Context

DURATION = "whatsai_probe_seconds"
TIMEOUT = 20.0  # seconds in which the message must arrive
TOKEN_LIFE = dt.timedelta(minutes=5)
JID = "5500000000000@s.whatsapp.net"
log = Context.GENERAL.logger


class ProbeFailed(Exception):
    """A step of the probe did not do what it must; the text says which one."""


def probe() -> None:
    """Send a message through the site, and store whether it arrived.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    started, problem = monotonic(), ""
    instance = _instance()
    try:
        with _api_token(instance) as token:
            _run(instance, token)
    except ProbeFailed as error:
        problem = str(error)
        log.warning("Probe FAILED: %s", problem)
    finally:
        _clean(instance)
    seconds = monotonic() - started
    if not problem:
        histogram(DURATION, SLOW).observe(seconds)
    remember("probe", problem, seconds)


# --- the way of the message -------------------------------------------------------------------------------------------
def _run(instance: Instance, token: str) -> None:
    text, deadline = f"probe {secrets.token_hex(8)}", monotonic() + TIMEOUT
    access = {"Authorization": f"Bearer {token}"}
    with _step(details.EVENT_STREAM), closing(_ask(f"/api/v1/events/?instance={instance.pk}", access)) as stream:
        pages = _pages(stream, deadline)
        next(pages)  # the stream has begun: it now sends what changes
        with _step(details.WEBHOOK):
            _ask(f"/webhooks/evolution/{PROBE}", _webhook_headers(), _body(text)).close()
        pk = next((found for page in pages if (found := _find(page, text))), None)
    with _step(details.API), closing(_ask(f"/api/v1/messages/{pk}/", access)) as response:
        if json.load(response)["text"] != text:
            raise ProbeFailed(details.OTHER_TEXT)


def _ask(path: str, headers: dict[str, str], body: bytes | None = None) -> Any:
    headers = {**headers, "Host": urlsplit(settings.PUBLIC_URL).netloc}  # the site answers to no other name
    if settings.SECURE_PROXY_SSL_HEADER:
        headers = {**headers, "X-Forwarded-Proto": "https"}
    return send(settings.PROBE_URL.rstrip("/") + path, headers, body, timeout=TIMEOUT)


def _pages(stream: Any, deadline: float) -> Iterator[dict[str, Any]]:
    """Yield the pages of changes that an event stream sends until a time of `monotonic`, and then fail."""
    with suppress(TimeoutError):
        for line in stream:
            if monotonic() > deadline:
                break
            if line.startswith(b"data:"):
                yield json.loads(line.removeprefix(b"data:"))
    raise ProbeFailed(fill(details.NOT_ARRIVED, seconds=f"{TIMEOUT:.0f}"))


def _find(page: dict[str, Any], text: str) -> int | None:
    changes = (one for one in page["results"] if one["resource"] == "message" and one["row"])
    return next((one["id"] for one in changes if one["row"]["text"] == text), None)


def _body(text: str) -> bytes:
    key = {"remoteJid": JID, "fromMe": False, "id": f"PROBE{secrets.token_hex(8).upper()}"}
    data = {"key": key, "pushName": "Probe", "message": {"conversation": text}, "messageType": "conversation"}
    at = int(timezone.now().timestamp())
    return json.dumps(
        {"event": "messages.upsert", "instance": PROBE, "data": {**data, "messageTimestamp": at}}
    ).encode()


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Say which step failed, and how."""
    try:
        yield
    except HTTPError as error:
        with error:
            raise ProbeFailed(fill(details.ANSWERED, step=name, status=error.code)) from None
    except TimeoutError:
        raise ProbeFailed(fill(details.NO_ANSWER, step=name, seconds=f"{TIMEOUT:.0f}")) from None
    except (OSError, HTTPException, ValueError, LookupError) as error:
        raise ProbeFailed(fill(details.FAILED, step=name, error=type(error).__name__)) from None


# --- what the probe needs ---------------------------------------------------------------------------------------------
def _instance() -> Instance:
    """Return the instance of the probe, whose webhook token is derived from the secret key."""
    instance, _ = Instance.objects.upsert(PROBE)
    if instance.token_hash != hash_token(_webhook_token()):
        Instance.objects.issue_token(instance.pk, token=_webhook_token(), revoke_old=True)
    return instance


def _webhook_token() -> str:
    return salted_hmac(__name__, "webhook", algorithm="sha256").hexdigest()


def _webhook_headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {_webhook_token()}", "Content-Type": "application/json"}


@contextmanager
def _api_token(instance: Instance) -> Iterator[str]:
    """Give the probe's user a token that can only read the probe's instance, for one run."""
    user, is_new = User.objects.get_or_create(username=PROBE)
    if is_new:
        user.set_unusable_password()
        user.save()
    Membership.objects.get_or_create(user=user, instance=instance, defaults={"role": Role.READER})
    expires_at = timezone.now() + TOKEN_LIFE
    row, token = ApiToken.objects.issue(
        user, name="probe", scopes=(Scope.READ,), instances=(instance.pk,), expires_at=expires_at
    )
    try:
        yield token
    finally:
        row.delete()


def _clean(instance: Instance) -> None:
    """Delete what the probe has written, so that nothing grows."""
    with transaction.atomic():
        Instance.objects.lock(instance.pk)
        Conversation.objects.filter(instance=instance).delete()
        Contact.objects.filter(instance=instance).delete()
    WebhookEvent.objects.filter(instance=instance).exclude(outcome=WebhookEvent.Outcome.STORED).delete()
