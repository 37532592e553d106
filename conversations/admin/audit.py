"""The audit trail: who has added, changed or deleted what in the admin. Django writes it; nobody can change it here."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.urls import path
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from conversations.admin.base import FixedOrder, ReadOnly
from conversations.admin.filters import ActorFilter
from conversations.admin.markup import EMPTY, badge
from conversations.admin.users import SuperuserAdmin

_BADGE_STYLES = {ADDITION: "good", CHANGE: "plain", DELETION: "bad"}


@admin.register(LogEntry)
class AuditAdmin(FixedOrder, ReadOnly, SuperuserAdmin):
    """List of the audit trail, the newest entry first."""

    list_display = ("action_time", "user", "action", "kind", "row", "what")
    list_display_links = None
    list_select_related = ("user", "content_type")
    list_filter = (ActorFilter, "action_flag", "content_type")
    checked = ("action_flag__exact", "content_type__id__exact")
    ordering = ("-id",)  # the order of time; the time has no index
    sortable_by = ()
    empty_text = _("Nobody has changed anything in the admin yet.")

    def get_urls(self) -> list[Any]:
        """Return the URL of the list; an entry has no page of its own."""
        return [path("", self.admin_site.admin_view(self.changelist_view), name="admin_logentry_changelist")]

    @admin.display(description=_("action"))
    def action(self, row: LogEntry) -> Any:
        """Return what the user did, in a colour."""
        return badge(row.get_action_flag_display(), _BADGE_STYLES.get(row.action_flag, "plain"))

    @admin.display(description=_("kind"))
    def kind(self, row: LogEntry) -> str:
        """Return the kind of row."""
        model = row.content_type.model_class() if row.content_type else None
        return str(model._meta.verbose_name) if model else EMPTY  # noqa: SLF001 - Django documents _meta

    @admin.display(description=_("row"))
    def row(self, row: LogEntry) -> Any:
        """Return the row as it was called then, with a link unless it was deleted."""
        url = None if row.is_deletion() else row.get_admin_url()
        return format_html('<a href="{}">{}</a>', url, row.object_repr) if url else row.object_repr

    @admin.display(description=_("details"))
    def what(self, row: LogEntry) -> str:
        """Return which fields changed, or which action ran."""
        return row.get_change_message() or EMPTY
