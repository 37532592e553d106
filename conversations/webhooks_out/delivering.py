"""One delivery: what is sent to a receiver next, and what follows from its outcome. Everything here is in the database.

`conversations.webhooks_out.deliverer` waits and sends in between.
"""

import datetime as dt
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from conversations.changes.log import Selection
from conversations.models import DeliveryAttempt, WebhookSubscription
from conversations.models.webhook_subscription import old_attempts
from conversations.webhooks_out import retries, signature
from conversations.webhooks_out.retries import Outcome
from conversations.webhooks_out.selection import selection_of, wants
from logs.contexts import Context

KEPT = dt.timedelta(days=30)  # for which attempts are kept
MAX_ERROR_CHARS = 200
PURGE_EVERY = 50  # attempts, after which old ones are deleted
USER_ENDED = _("its user is not active any more")
log = Context.WEBHOOK.logger


class Page(NamedTuple):
    """Changes as `changes/` of the API shows them.

    Attributes:
        data: `cursor`, `has_more` and `results`.
        last: names the last change; equal for two pages after the same cursor that contain the same changes.
    """

    data: Mapping[str, Any]
    last: str


class Pages(Protocol):
    """Reads changes."""

    def read(self, cursor: str, selection: Selection) -> Page:
        """Return the changes after a cursor.

        If the cursor belongs to another history of the database, the only change is a `reset` of everything.
        """


@dataclass(frozen=True)
class Delivery:
    """What is sent to a receiver.

    Attributes:
        subscription: the row as it was when the delivery was made.
        kind: what is sent.
        identity: the header `webhook-id`.
        body: the content.
        changes: the number of changes in it.
        end: the cursor after the changes; that before them for a test.
    """

    subscription: WebhookSubscription
    kind: DeliveryAttempt.Kind
    identity: str
    body: bytes
    changes: int
    end: str


class Nothing(NamedTuple):
    """There is nothing to send up to a cursor; `has_more` says whether changes after it can be read at once."""

    cursor: str
    has_more: bool


def next_delivery(subscription: WebhookSubscription, pages: Pages, after: str) -> Delivery | Nothing:
    """Return what is to be sent to a receiver next, if one page of changes contains it.

    Args:
        subscription: the row as it is now.
        pages: reads changes.
        after: a cursor up to which there is nothing to send; at least that of the row.
    """
    if subscription.test_requested:
        kind = DeliveryAttempt.Kind.TEST
        return Delivery(subscription, kind, f"msg_{uuid4().hex}", _body(kind, {}), 0, subscription.cursor)
    selection = selection_of(subscription)
    if selection is None:
        _turn_off(subscription, USER_ENDED)
        return Nothing(after, has_more=False)
    page = pages.read(after, selection)
    wanted = [change for change in page.data["results"] if wants(subscription, change)]
    if not wanted:
        return Nothing(page.data["cursor"], page.data["has_more"])
    kind = DeliveryAttempt.Kind.CHANGES
    identity = signature.message_id(subscription.pk, subscription.cursor, page.last)
    body = _body(kind, {**page.data, "results": wanted})
    return Delivery(subscription, kind, identity, body, len(wanted), page.data["cursor"])


def save_passed(subscription: WebhookSubscription, cursor: str) -> None:
    """Note that there is nothing to send up to a cursor, so that a later process need not read that far again."""
    _own(subscription).update(cursor=cursor)


def _body(kind: DeliveryAttempt.Kind, data: Mapping[str, Any]) -> bytes:
    """Return a body of the form that Standard Webhooks recommends.

    Its time is always of the same length, so that receivers can compare the times of two deliveries as texts.
    """
    now = timezone.now().astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    content = {"type": kind.value, "timestamp": now, "data": data}
    return json.dumps(content, cls=DjangoJSONEncoder, ensure_ascii=False, separators=(",", ":")).encode()


def record(delivery: Delivery, outcome: Outcome, started_at: dt.datetime) -> None:
    """Write down an attempt and what follows from it.

    If the subscription was changed or taken over meanwhile, only the attempt is written down.
    """
    now, subscription = timezone.now(), delivery.subscription
    with transaction.atomic():
        if not WebhookSubscription.objects.filter(pk=subscription.pk).exists():
            return
        _log_attempt(delivery, outcome, started_at, now)
        if delivery.kind == DeliveryAttempt.Kind.TEST:
            _own(subscription).update(test_requested=False)
        elif outcome.error:
            _record_failure(subscription, outcome, now)
        else:
            _own(subscription).update(cursor=delivery.end, delivered_at=now, failing_since=None, failures=0)


def _log_attempt(delivery: Delivery, outcome: Outcome, started_at: dt.datetime, now: dt.datetime) -> None:
    subscription = delivery.subscription
    attempt = DeliveryAttempt.objects.create(
        subscription=subscription,
        kind=delivery.kind,
        message_id=delivery.identity,
        at=started_at,
        duration_ms=int((now - started_at).total_seconds() * 1000),
        changes=delivery.changes,
        cursor=subscription.cursor,
        status=outcome.status,
        error=outcome.error[:MAX_ERROR_CHARS],
    )
    if attempt.pk % PURGE_EVERY == 0:
        old_attempts(subscription.pk, now - KEPT).delete()


def _record_failure(subscription: WebhookSubscription, outcome: Outcome, now: dt.datetime) -> None:
    failures, since = subscription.failures + 1, subscription.failing_since or now
    following = retries.after_failure(outcome, failures, since, now, random.uniform(-1, 1))  # noqa: S311 - only spreads load
    if following.off_reason:
        _turn_off(subscription, following.off_reason)
        return
    is_own = _own(subscription).update(failures=failures, failing_since=since, next_attempt_at=following.at)
    if is_own and failures == 1:
        log.warning("Webhook FAILED: %s", outcome.error, extra={"webhook": subscription.pk})


def _turn_off(subscription: WebhookSubscription, reason: str) -> None:
    if _own(subscription).update(
        is_active=False, off_reason=reason[:MAX_ERROR_CHARS], claimed_by="", claimed_until=None
    ):
        log.warning("Webhook turned OFF: %s", reason, extra={"webhook": subscription.pk})


def _own(subscription: WebhookSubscription) -> Any:
    """Return the row, if nobody has changed where it continues, and this process still delivers for it."""
    return WebhookSubscription.objects.filter(
        pk=subscription.pk, cursor=subscription.cursor, claimed_by=subscription.claimed_by
    )
