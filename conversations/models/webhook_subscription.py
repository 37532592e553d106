"""The models of outgoing webhooks: who gets which changes where, and the attempts to deliver them."""

import base64
import binascii
import datetime as dt
import secrets

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.evolution.coerce import EPOCH
from conversations.models.change import Change

MAX_SUBSCRIPTIONS = 100
MAX_URL_CHARS = 500
SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of Standard Webhooks, not a secret
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64  # as Standard Webhooks recommends
KEPT_ATTEMPTS = 500  # of one subscription
_KINDS = (Change.Kind.CREATED, Change.Kind.UPDATED, Change.Kind.DELETED)
ALL_EVENTS = tuple(f"{resource}.{kind}" for resource in Change.Resource.values for kind in _KINDS)


class TooManySubscriptions(Exception):
    """There are as many subscriptions as there may be."""


def new_secret() -> str:
    """Return a random secret in the form of Standard Webhooks."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_bytes(secret: str) -> bytes:
    """Return the key that a secret stands for.

    Raises:
        ValueError: the text is not a secret in the form of Standard Webhooks.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        text = _("must be %(prefix)s and the base64 of %(least)d to %(most)d random bytes")
        raise ValueError(text % {"prefix": SECRET_PREFIX, "least": MIN_SECRET_BYTES, "most": MAX_SECRET_BYTES})
    return key


def validate_secret(secret: str) -> None:
    """Check a secret for a form.

    Raises:
        ValidationError: the text is not a secret in the form of Standard Webhooks.
    """
    try:
        secret_bytes(secret)
    except ValueError as error:
        raise ValidationError(str(error)) from None


class WebhookSubscriptionManager(models.Manager["WebhookSubscription"]):
    """Finds the subscriptions that deliver, and bounds their number."""

    def check_number(self) -> None:
        """Check that there may be one more subscription.

        Raises:
            TooManySubscriptions: there are `MAX_SUBSCRIPTIONS`.
        """
        if self.count() >= MAX_SUBSCRIPTIONS:
            raise TooManySubscriptions(
                _("There are %(count)d webhooks. Delete one first.") % {"count": MAX_SUBSCRIPTIONS}
            )

    def active(self) -> QuerySet["WebhookSubscription"]:
        """Return the subscriptions that are on."""
        return self.filter(is_active=True)

    def turned_off(self) -> QuerySet["WebhookSubscription"]:
        """Return the subscriptions that were turned off automatically, because deliveries failed."""
        return self.filter(is_active=False).exclude(off_reason="")


class WebhookSubscription(models.Model):
    """Where changes are sent, which ones, and how far the receiver has got.

    Attributes:
        cursor: the receiver has confirmed all changes up to here (`conversations.changes.cursor`).
        claimed_by, claimed_until: the process that delivers, and until when nobody else may.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="webhooks", help_text="sees what this user may read"
    )
    name = models.CharField(max_length=100, blank=True, default="", help_text="purpose of the webhook")
    url = models.CharField(max_length=MAX_URL_CHARS, help_text="changes are posted to this address")
    secret = models.CharField(max_length=120, default=new_secret, validators=[validate_secret])
    events = models.JSONField(
        default=list, blank=True, help_text="names such as message.created; none stands for all changes"
    )
    instance_ids = models.JSONField(
        default=list, blank=True, help_text="ids of instances; none stands for all that the user may read"
    )
    is_active = models.BooleanField("on", default=True)
    off_reason = models.CharField(max_length=200, blank=True, default="", editable=False)
    cursor = models.CharField(max_length=200, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="attempts since the last success")
    next_attempt_at = models.DateTimeField(default=timezone.now, editable=False)
    delivered_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="the last success")
    test_requested = models.BooleanField(default=False, editable=False)
    claimed_by = models.CharField(max_length=32, blank=True, default="", editable=False)
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects: WebhookSubscriptionManager = WebhookSubscriptionManager()

    STATE = ("is_active", "off_reason", "failing_since", "failures", "next_attempt_at")  # what `turn_on` sets

    class Meta:
        verbose_name = "outgoing webhook"

    def __str__(self) -> str:
        return f"{self.name or _('webhook')} {self.pk}"

    @property
    def due_at(self) -> dt.datetime:
        """When the next attempt may start: at once if none has failed, whatever clock wrote the time down."""
        return self.next_attempt_at if self.failures else EPOCH

    def replay(self, cursor: str) -> None:
        """Deliver again from a cursor on, and save."""
        self.cursor = cursor
        self.turn_on()
        self.save(update_fields=["cursor", *self.STATE, "updated_at"])

    def turn_on(self) -> None:
        """Deliver again, from where the receiver has got to. The caller saves `STATE`."""
        self.is_active, self.off_reason = True, ""
        self.failing_since, self.failures, self.next_attempt_at = None, 0, timezone.now()


class DeliveryAttempt(models.Model):
    """One request to a receiver, and its outcome. The content is not kept."""

    class Kind(models.TextChoices):
        """What was sent."""

        CHANGES = "changes"
        TEST = "test"

    subscription = models.ForeignKey(WebhookSubscription, models.CASCADE, related_name="attempts")
    kind = models.CharField(max_length=8, choices=Kind)
    message_id = models.CharField(max_length=64, help_text="the header webhook-id")
    at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    changes = models.PositiveIntegerField(help_text="number of changes in the body")
    cursor = models.CharField(max_length=200, help_text="the position before these changes")
    status = models.PositiveSmallIntegerField(null=True, help_text="the HTTP status; null without an answer")
    error = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["subscription", "-id"], name="delivery_attempts")]

    def __str__(self) -> str:
        text = _("attempt %(pk)s of webhook %(webhook)s: %(outcome)s")
        return text % {"pk": self.pk, "webhook": self.subscription_id, "outcome": self.status or self.error}

    @property
    def is_success(self) -> bool:
        """Whether the receiver has confirmed the delivery."""
        return self.status is not None and not self.error


def old_attempts(subscription_id: int, before: dt.datetime) -> QuerySet[DeliveryAttempt]:
    """Return the attempts of a subscription that need not be kept: old ones, and all but the newest ones."""
    rows = DeliveryAttempt.objects.filter(subscription=subscription_id)
    newest = rows.order_by("-pk").values_list("pk", flat=True)
    bound = newest[KEPT_ATTEMPTS : KEPT_ATTEMPTS + 1].first()
    return rows.filter(models.Q(at__lt=before) | models.Q(pk__lte=bound or 0))
