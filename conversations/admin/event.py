"""Webhook events as they came, for who asks what became of one. Read only; superusers may delete old ones."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from conversations.admin.base import InstanceRowsAdmin
from conversations.admin.filters import EventNameFilter, InstanceFilter
from conversations.admin.markup import badge, pretty_json
from conversations.models import WebhookEvent

# outcome → how its badge looks
_STYLES = {
    WebhookEvent.Outcome.STORED: "waiting",
    WebhookEvent.Outcome.APPLIED: "good",
    WebhookEvent.Outcome.IGNORED: "plain",
    WebhookEvent.Outcome.UNKNOWN: "waiting",
    WebhookEvent.Outcome.FOREIGN: "bad",
    WebhookEvent.Outcome.FAILED: "bad",
}


@admin.register(WebhookEvent)
class WebhookEventAdmin(InstanceRowsAdmin):
    """What Evolution sent, latest first."""

    ordering = ("-id",)
    sortable_by = ("received",)
    list_display = ("received", "name", "outcome_badge", "reason", "instance_name")
    listed = ("received_at", "name", "outcome", "reason", "instance__name")
    list_filter = (InstanceFilter, "outcome", EventNameFilter)
    search_fields = ("name__startswith", "reason")
    search_help_text = "The beginning of an event's name, or part of a reason."

    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("name", "instance", "received_at", "outcome", "reason")}),
        ("Body, without its secrets", {"fields": ("body",)}),
    )

    def read(self, pk: int) -> WebhookEvent:
        """Return the row; events have no cache."""
        return WebhookEvent.objects.select_related("instance").get(pk=pk)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's hook
        """Superusers only: an event that is gone cannot be looked into again."""
        return bool(request.user.is_active and request.user.is_superuser)

    @admin.display(description="received", ordering="id")
    def received(self, row: WebhookEvent) -> Any:
        """Show when it came; rows are numbered in that order."""
        return row.received_at

    @admin.display(description="outcome")
    def outcome_badge(self, row: WebhookEvent) -> SafeString:
        """Show the outcome at a glance."""
        return badge(row.outcome, _STYLES.get(WebhookEvent.Outcome(row.outcome), "plain"))

    @admin.display(description="body")
    def body(self, row: WebhookEvent) -> SafeString | str:
        """Show the body, readable."""
        return pretty_json(row.payload)
