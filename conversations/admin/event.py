"""Admin pages of webhook events. Failed events can be processed again; superusers can delete events."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.formats import date_format, number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from conversations.access.records import Shown, record_reading
from conversations.admin.access import permitted
from conversations.admin.base import InstanceRowsAdmin
from conversations.admin.filters import EventNameFilter, InstanceFilter
from conversations.admin.markup import EMPTY, badge, format_time, pretty_json
from conversations.evolution.events import QR_CODE
from conversations.ingest import reasons
from conversations.ingest.worker import replay
from conversations.models import ReadingRecord, Scope, WebhookEvent
from conversations.models.stored_texts import translate

_BADGE_STYLES = {
    WebhookEvent.Outcome.STORED: "waiting",
    WebhookEvent.Outcome.APPLIED: "good",
    WebhookEvent.Outcome.IGNORED: "plain",
    WebhookEvent.Outcome.UNKNOWN: "waiting",
    WebhookEvent.Outcome.FOREIGN: "bad",
    WebhookEvent.Outcome.FAILED: "bad",
}


MAX_BODY_LENGTH = 1_000_000  # bytes of a body that is read in order to show its beginning


@admin.register(WebhookEvent)
class WebhookEventAdmin(InstanceRowsAdmin):
    """Admin of the webhook events that Evolution sent, latest first."""

    ordering = ("-id",)
    sortable_by = ("received",)
    list_display = ("received", "event", "result", "instance_name")
    list_only_fields = (
        "received_at", "name", "part", "parts", "outcome", "reason", "attempts", "due_at", "instance__name",
    )  # fmt: skip
    list_filter = (InstanceFilter, "outcome", EventNameFilter)
    checked = ("event", "q")
    search_fields = ("name__startswith", "reason")
    empty_text = _("No events yet. Check in Evolution that the webhook of a number points here.")
    search_help_text = _("Search by the beginning of an event's name or part of a reason.")
    actions = ("replay",)

    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("event", "instance", "received_at", "request_id", "outcome", "why")}),
        (_("Processing"), {"fields": ("failures", "next_attempt", "finished_at")}),
        (_("Body (secrets removed)"), {"fields": ("body",)}),
    )
    without_body: ClassVar[Any] = (
        *fieldsets[:-1],
        (
            _("Body (secrets removed)"),
            {"fields": (), "description": _("The body is shown only to those who may manage the instance.")},
        ),
    )

    def load_row(self, pk: int) -> WebhookEvent:
        """Return the webhook event, without its body, from the database: webhook events are not cached."""
        return WebhookEvent.objects.defer("payload").select_related("instance").get(pk=pk)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the parts of the page; the codes that link a phone are shown to managers of the instance only."""
        is_hidden = obj is not None and obj.name == QR_CODE and not self.may(request, obj, Scope.MANAGE)
        return self.without_body if is_hidden else super().get_fieldsets(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's hook
        """Return whether the user is a superuser: a deleted event can no longer be inspected or processed again."""
        return bool(request.user.is_active and request.user.is_superuser)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Return whether the user has Django's change permission, which users need to replay webhook events."""
        return super(admin.ModelAdmin, self).has_change_permission(request)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Render the page of an event, and record that it is shown, because the body may contain messages."""
        row = kwargs["obj"]
        record_reading(request.user, ReadingRecord.Page.EVENT, [Shown(row.instance_id)], row.pk)
        may_replay = self.has_replay_permission(request) and self.may(request, row, Scope.WRITE)
        context["may_replay"] = may_replay and row.outcome in replay.REPLAYABLE
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description=_("Replay failed events"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> HttpResponse | None:
        """Ask, and then queue the selected webhook events that failed, so that a worker processes them again."""
        rows = permitted(request, queryset, Scope.WRITE).filter(outcome__in=replay.REPLAYABLE)
        pks = list(rows.values_list("pk", flat=True))
        if "post" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": _("Replay events"),
                "opts": self.opts,
                "pks": pks,
                "left_out": queryset.count() - len(pks),
            }
            return TemplateResponse(request, "admin/conversations/webhookevent/replay.html", context)
        queued = replay.requeue(pks)
        text = ngettext(
            "%(count)d event queued to be processed again.", "%(count)d events queued to be processed again.", queued
        )
        self.message_user(request, text % {"count": queued}, messages.SUCCESS)
        return None

    @admin.display(description=_("received"), ordering="id")
    def received(self, row: WebhookEvent) -> str:
        """Return when the webhook event was received; the column sorts by id, which has the same order and an index."""
        return date_format(localtime(row.received_at), "SHORT_DATETIME_FORMAT")

    @admin.display(description=_("event"))
    def event(self, row: WebhookEvent) -> str:
        """Return the event's name; if the event was stored in several parts, append the number of the part."""
        return row.name if row.parts == 1 else f"{row.name} {row.part}/{row.parts}"

    @admin.display(description=_("outcome"))
    def result(self, row: WebhookEvent) -> SafeString:
        """Return the outcome in a colour, why, and which attempts have failed or follow."""
        texts = [translate(row.reason, reasons.TEMPLATES)]
        if row.attempts:
            texts.append(_("failed attempts: %(count)s") % {"count": self.failures(row)})
        if row.outcome == WebhookEvent.Outcome.STORED:
            texts.append(_("next attempt: %(time)s") % {"time": self.next_attempt(row)})
        details = format_html_join("", '<span class="cell-detail">{}</span>', ((text,) for text in texts if text))
        style = _BADGE_STYLES.get(WebhookEvent.Outcome(row.outcome), "plain")
        return format_html("{}{}", badge(row.get_outcome_display(), style), details)

    @admin.display(description=_("reason"))
    def why(self, row: WebhookEvent) -> str:
        """Return the reason of the outcome, which the database keeps in English, in the language of the request."""
        return translate(row.reason, reasons.TEMPLATES) or EMPTY

    @admin.display(description=_("failed attempts"))
    def failures(self, row: WebhookEvent) -> str:
        """Return the number of failed attempts to apply the event."""
        return str(row.attempts or EMPTY)

    @admin.display(description=_("next attempt"))
    def next_attempt(self, row: WebhookEvent) -> str:
        """Return when a worker will next try to apply the event, if an attempt is planned."""
        return format_time(row.due_at) if row.outcome == WebhookEvent.Outcome.STORED else EMPTY

    @admin.display(description=_("body"))
    def body(self, row: WebhookEvent) -> SafeString | str:
        """Return the body of the webhook event as indented JSON, or only its length if it is very long."""
        if row.size > MAX_BODY_LENGTH:
            size = number_format(row.size, force_grouping=True)
            return _("The body has %(size)s bytes and is too long to be shown.") % {"size": size}
        return pretty_json(row.payload)
