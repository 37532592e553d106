"""Delivers step by step in the thread of a test, with the steps of `Deliverer` and real requests."""

import asyncio
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from conversations.api.outgoing_pages import OutgoingPages
from conversations.db.due_times import is_due
from conversations.models import DeliveryAttempt, WebhookSubscription
from conversations.webhooks_out import signature
from conversations.webhooks_out.claims import Claims
from conversations.webhooks_out.delivering import Delivery, Nothing, next_delivery, record, save_passed
from conversations.webhooks_out.post import post
from conversations.webhooks_out.retries import SKEW_LIMIT
from conversations.webhooks_out.selection import present_cursor
from tests.conversations.changes.reading import settle
from tests.conversations.webhooks_out.receiver import Receiver


def a_webhook(user: User, receiver: Receiver, **fields: Any) -> WebhookSubscription:
    settle()
    row = WebhookSubscription(user=user, url=receiver.url, **fields)
    row.cursor = present_cursor(row)
    row.save()
    return row


def prepare(row: WebhookSubscription, claims: Claims) -> Delivery | None:
    """Return the next delivery of a subscription that is due and claimed."""
    settle()
    current = claims.own(row.pk)
    if current is None:
        return None
    if not is_due(current.due_at, timezone.now(), SKEW_LIMIT) and not current.test_requested:
        return None
    following = next_delivery(current, OutgoingPages(), current.cursor)
    while isinstance(following, Nothing):
        save_passed(current, following.cursor)
        current.cursor = following.cursor
        if not following.has_more:
            return None
        following = next_delivery(current, OutgoingPages(), current.cursor)
    return following


def attempt(delivery: Delivery) -> None:
    """Post a delivery, and write the outcome down."""
    row, started_at = delivery.subscription, timezone.now()
    headers = signature.headers(row.secret, delivery.identity, started_at, delivery.body)
    record(delivery, asyncio.run(post(row.url, headers, delivery.body)), started_at)


def deliver(row: WebhookSubscription) -> None:
    """Do what a worker does, until the receiver has everything, an attempt fails, or the subscription is off."""
    claims = Claims()
    claims.renew()
    while (delivery := prepare(row, claims)) is not None:
        attempt(delivery)
    claims.release()
    row.refresh_from_db()


def make_due(row: WebhookSubscription) -> None:
    WebhookSubscription.objects.filter(pk=row.pk).update(next_attempt_at=timezone.now())


def outcomes(row: WebhookSubscription) -> list[tuple[int | None, str]]:
    attempts = DeliveryAttempt.objects.filter(subscription=row).order_by("pk")
    return list(attempts.values_list("status", "error"))
