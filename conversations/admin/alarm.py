"""Admin pages of the alarms: what was wrong, since when, and when it was over."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext as _

from conversations.admin.access import access_of
from conversations.admin.base import BoundedAdmin
from conversations.admin.markup import EMPTY, badge, format_time
from conversations.models import Alarm, Scope
from conversations.monitoring.details import translate_detail
from conversations.monitoring.rules import BY_KIND, RULES


def what_was_wrong(row: Alarm) -> str:
    """Return what is or was wrong, and what was found, if it is known; a kind may be of another version."""
    title = gettext(BY_KIND[row.kind].title) if row.kind in BY_KIND else row.kind
    detail = translate_detail(row.detail)
    return f"{title} ({detail})" if detail else title


class StateFilter(admin.SimpleListFilter):
    """Selects the alarms that are raised or over."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002 - Django's hook
        """Return both states."""
        return [("raised", _("raised")), ("over", _("over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Return the alarms in the chosen state."""
        return queryset.filter(ended_at__isnull=self.value() == "raised") if self.value() else queryset


class KindFilter(admin.SimpleListFilter):
    """Selects the alarms of one kind."""

    title = gettext_lazy("kind")
    parameter_name = "rule"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002 - Django's hook
        """Return the kinds of the rules."""
        return [(rule.kind, gettext(rule.title)) for rule in RULES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Return the alarms of the chosen kind."""
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Alarm)
class AlarmAdmin(BoundedAdmin):
    """Admin of the alarms of the last 90 days, latest first."""

    instance_field = "subject"
    ordering = ("-since", "-id")
    sortable_by = ("since",)
    list_display = ("state", "what", "number", "since", "recovered", "lasted", "messages_sent")
    list_display_links = ("what",)
    list_only_fields = ("kind", "subject", "name", "detail", "since", "announced_at", "ended_at")
    list_filter = (StateFilter, KindFilter)
    search_fields = ("name__startswith",)
    search_help_text = gettext_lazy("Search by the beginning of a number's name.")
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("state", "what", "number", "detail", "advice")}),
        (gettext_lazy("Times"), {"fields": ("since", "messages_sent", "recovered", "lasted")}),
    )

    def load_row(self, pk: int) -> Alarm:
        """Return the alarm from the database: alarms are not cached."""
        return Alarm.objects.get(pk=pk)

    def may(self, request: HttpRequest, row: Any, scope: Scope) -> bool:
        """Return whether the user may see the alarm: those about the whole site are for superusers."""
        return access_of(request).allows(row.subject, scope)

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Alarm) -> SafeString:
        """Return whether the alarm is raised or over."""
        return badge(_("over"), "good") if row.ended_at else badge(_("raised"), "bad")

    @admin.display(description=gettext_lazy("what"))
    def what(self, row: Alarm) -> str:
        """Return what is or was wrong."""
        return what_was_wrong(row)

    @admin.display(description=gettext_lazy("number"))
    def number(self, row: Alarm) -> SafeString | str:
        """Return a link to the instance that the alarm is about."""
        if not row.subject:
            return _("the whole site")
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:conversations_instance_change", args=[row.subject]), row.name
        )

    @admin.display(description=gettext_lazy("what to do"))
    def advice(self, row: Alarm) -> str:
        """Return what to do about it."""
        return gettext(BY_KIND[row.kind].advice) if row.kind in BY_KIND else EMPTY

    @admin.display(description=gettext_lazy("recovered"))
    def recovered(self, row: Alarm) -> str:
        """Return when the alarm was over."""
        return format_time(row.ended_at) if row.ended_at else EMPTY

    @admin.display(description=gettext_lazy("lasted"))
    def lasted(self, row: Alarm) -> str:
        """Return how long the alarm has lasted so far."""
        return timesince(row.since, row.ended_at or timezone.now())

    @admin.display(description=gettext_lazy("messages sent"))
    def messages_sent(self, row: Alarm) -> str:
        """Return when messages about it were queued."""
        return format_time(row.announced_at) if row.announced_at else EMPTY
