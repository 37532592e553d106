"""Webhook events as they came, for who asks what became of one. They can be tried again; superusers may delete some."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from conversations.admin.base import InstanceRowsAdmin
from conversations.admin.filters import EventNameFilter, InstanceFilter
from conversations.admin.markup import badge, pretty_json
from conversations.ingest.worker import replay
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
    list_display = ("received", "named", "outcome_badge", "reason", "tries", "next_try", "instance_name")
    listed = (
        "received_at", "name", "part", "parts", "outcome", "reason", "attempts", "due_at", "instance__name",
    )  # fmt: skip
    list_filter = (InstanceFilter, "outcome", EventNameFilter)
    search_fields = ("name__startswith", "reason")
    search_help_text = "The beginning of an event's name, or part of a reason."
    actions = ("replay",)

    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("named", "instance", "received_at", "request_id", "outcome", "reason")}),
        ("Applying it", {"fields": ("tries", "next_try", "finished_at")}),
        ("Body, without its secrets", {"fields": ("body",)}),
    )

    def read(self, pk: int) -> WebhookEvent:
        """Return the row; events have no cache."""
        return WebhookEvent.objects.select_related("instance").get(pk=pk)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's hook
        """Superusers only: an event that is gone cannot be looked into again."""
        return bool(request.user.is_active and request.user.is_superuser)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Who may change events, of which this is the only change."""
        return super(admin.ModelAdmin, self).has_change_permission(request)

    @admin.action(description="Try again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        """Make the chosen events due again, as far as they came to a bad end."""
        due = replay.requeue(queryset.values_list("pk", flat=True))
        self.message_user(request, f"Try again: {due} done.", messages.SUCCESS)

    @admin.display(description="received", ordering="id")
    def received(self, row: WebhookEvent) -> Any:
        """Show when it came; rows are numbered in that order."""
        return row.received_at

    @admin.display(description="event")
    def named(self, row: WebhookEvent) -> str:
        """Show its name, and which part of an import it is."""
        return row.name if row.parts == 1 else f"{row.name} {row.part}/{row.parts}"

    @admin.display(description="outcome")
    def outcome_badge(self, row: WebhookEvent) -> SafeString:
        """Show the outcome at a glance."""
        return badge(row.outcome, _STYLES.get(WebhookEvent.Outcome(row.outcome), "plain"))

    @admin.display(description="failed tries")
    def tries(self, row: WebhookEvent) -> int | None:
        """Show how often it could not be applied."""
        return row.attempts or None

    @admin.display(description="next try")
    def next_try(self, row: WebhookEvent) -> Any:
        """Show when it will be applied, or tried again."""
        return row.due_at if row.outcome == WebhookEvent.Outcome.STORED else None

    @admin.display(description="body")
    def body(self, row: WebhookEvent) -> SafeString | str:
        """Show the body, readable."""
        return pretty_json(row.payload)
