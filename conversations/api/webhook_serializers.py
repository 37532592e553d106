"""Serializers of outgoing webhooks, and of the bodies that create and change them."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from cachelayer.orm.managers import MAX_ID
from conversations.api.bodies import Body, BoundedListField, SwitchField, TextField, WholeField
from conversations.models import DeliveryAttempt, WebhookSubscription
from conversations.models.webhook_subscription import ALL_EVENTS, MAX_URL_CHARS, secret_bytes
from conversations.webhooks_out.addresses import AddressRefused, check_address

MAX_INSTANCES = 1000  # to which one webhook can be limited
MAX_CURSOR_CHARS = 200


class WebhookSerializer(serializers.ModelSerializer[WebhookSubscription]):
    """One outgoing webhook, without its secret."""

    events = serializers.ListField(
        child=serializers.ChoiceField(ALL_EVENTS), help_text="The changes that are sent; none stands for all."
    )
    instance_ids = serializers.ListField(
        child=serializers.IntegerField(), help_text="The instances whose changes are sent; none stands for all."
    )
    off_reason = serializers.CharField(help_text="Why it was turned off automatically; empty otherwise.")

    class Meta:
        model = WebhookSubscription
        fields: tuple[str, ...] = (
            "id", "name", "url", "events", "instance_ids", "is_active", "off_reason", "cursor", "failing_since",
            "failures", "next_attempt_at", "delivered_at", "user_id", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields


class NewWebhookSerializer(WebhookSerializer):
    """An outgoing webhook with its secret, which cannot be shown again."""

    class Meta(WebhookSerializer.Meta):
        fields = (*WebhookSerializer.Meta.fields, "secret")
        read_only_fields = fields


class AttemptSerializer(serializers.ModelSerializer[DeliveryAttempt]):
    """One attempt to deliver changes."""

    class Meta:
        model = DeliveryAttempt
        fields = ("id", "kind", "message_id", "at", "duration_ms", "changes", "cursor", "status", "error")
        read_only_fields = fields


class UrlField(TextField):
    """The address of a receiver."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=MAX_URL_CHARS, trim_whitespace=False, help_text="Where changes are posted.", **options
        )

    def to_internal_value(self, data: Any) -> str:
        """Return the URL."""
        url = super().to_internal_value(data)
        try:
            check_address(url)
        except AddressRefused as error:
            raise serializers.ValidationError(_("This %(reason)s.") % {"reason": error.translated}) from None
        return url


class SecretField(TextField):
    """The secret with which deliveries are signed."""

    def to_internal_value(self, data: Any) -> str:
        """Return the secret."""
        secret = super().to_internal_value(data)
        try:
            secret_bytes(secret)
        except ValueError as error:
            raise serializers.ValidationError(_("This %(reason)s.") % {"reason": error}) from None
        return secret


class WebhookBody(Body):
    """The new values of a webhook. Fields that are left out keep their values."""

    names_of_row = WebhookSerializer.Meta.fields

    name = TextField(max_length=100, allow_blank=True, required=False, help_text="The purpose of the webhook.")
    url = UrlField(required=False)
    events = BoundedListField(
        child=serializers.ChoiceField(ALL_EVENTS),
        max_length=len(ALL_EVENTS),
        required=False,
        help_text="The changes to send; none stands for all. A `reset` is always sent.",
    )
    instance_ids = BoundedListField(
        child=WholeField(min_value=1, max_value=MAX_ID),
        max_length=MAX_INSTANCES,
        required=False,
        help_text="The instances whose changes to send; none stands for all.",
    )
    is_active = SwitchField(required=False)


class NewWebhookBody(WebhookBody):
    """A new webhook."""

    url = UrlField()
    secret = SecretField(
        max_length=120,
        required=False,
        help_text="`whsec_` and the base64 of 24 to 64 bytes; without it, a random one is made.",
    )


class ReplayBody(Body):
    """From where a webhook is to deliver again."""

    after = TextField(
        max_length=MAX_CURSOR_CHARS, help_text="The `cursor` of a delivery, of an attempt, or of `changes/`; or `now`."
    )
