"""The change log in the admin: what has changed, when, and in which transaction, the newest first.

The log is large, and has an index for its order only. So the list is of the newest `WINDOW` changes, among which the
filters select.
"""

from typing import Any

from django.contrib import admin
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from conversations.admin.base import BoundedAdmin
from conversations.admin.display_names import contact_display_name, conversation_display_name
from conversations.admin.filters import InstanceFilter
from conversations.admin.inbox.rows import instance_name
from conversations.admin.markup import EMPTY, badge
from conversations.models import Change, Contact, Conversation, Instance

WINDOW = 10_000  # changes that the list and its filters read
IS_POSTGRESQL = connection.vendor == "postgresql"  # SQLite has no numbers of transactions
MAX_DIGITS = 18  # of the number of a transaction

Resource, Kind = Change.Resource, Change.Kind
_BADGE_STYLES = {Kind.CREATED: "good", Kind.UPDATED: "plain", Kind.DELETED: "bad", Kind.RESET: "waiting"}
_PAGES = {
    Resource.INSTANCE: "admin:conversations_instance_change",
    Resource.CONTACT: "admin:conversations_contact_change",
    Resource.CONVERSATION: "admin:inbox_conversation",
    Resource.PARTICIPANTS: "admin:inbox_conversation",
    Resource.MESSAGE: "admin:conversations_message_change",
}


class TransactionFilter(admin.SimpleListFilter):
    """Selects the changes of one transaction, to which each row links."""

    title = _("transaction")
    parameter_name = "transaction"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's hook
        """Return the chosen transaction, because the others are too many to be offered."""
        value = request.GET.get(self.parameter_name, "")
        return [(value, value)] if value.isascii() and value.isdecimal() and len(value) <= MAX_DIGITS else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Return the changes of the chosen transaction."""
        return queryset.filter(transaction_id=int(self.value() or 0)) if self.value() else queryset


@admin.register(Change)
class ChangeAdmin(BoundedAdmin):
    """List of the newest changes. A change has no page of its own; its row has one."""

    instance_field = "instance_id"
    ordering = ("-transaction_id", "-id") if IS_POSTGRESQL else ("-id",)  # the primary key of the table
    sortable_by = ()
    list_display = ("at", "kind_badge", "resource", "changed_row", "number", "transaction")
    list_display_links = None
    list_filter = (InstanceFilter, "resource", "kind", TransactionFilter)
    empty_text = _("No changes are recorded. They appear when messages, contacts or conversations change.")

    def get_urls(self) -> list[Any]:
        """Return the URL of the list."""
        return [path("", self.admin_site.admin_view(self.changelist_view), name="conversations_change_changelist")]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the newest changes of the user's instances."""
        column = "transaction_id" if IS_POSTGRESQL else "id"
        oldest = Change.objects.order_by(*self.ordering).values_list(column, flat=True)[WINDOW - 1 : WINDOW].first()
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows if oldest is None else rows.filter(**{f"{column}__gte": oldest})

    def rows_shown(self, request: HttpRequest, rows: list[Any]) -> None:  # noqa: ARG002 - a hook
        """Read the names of all rows that have changed, with one query for each kind of row."""
        chats = {row.conversation_id for row in rows if row.conversation_id}
        people = {row.row_id for row in rows if row.resource == Resource.CONTACT and row.row_id}
        numbers = {row.instance_id for row in rows if row.instance_id}
        found_chats, found_people = Conversation.objects.fetch_many(chats), Contact.objects.fetch_many(people)
        found_numbers = Instance.objects.fetch_many(numbers)
        for row in rows:
            number, chat = found_numbers.get(row.instance_id), found_chats.get(row.conversation_id)
            person = found_people.get(row.row_id) if row.resource == Resource.CONTACT else None
            row.number_name = instance_name(number) if number else ""
            row.name = (
                contact_display_name(person)
                if person
                else conversation_display_name(chat)
                if chat
                else row.number_name * (row.resource == Resource.INSTANCE)
            )

    @admin.display(description=_("change"))
    def kind_badge(self, row: Change) -> Any:
        """Return how the row has changed, in a colour."""
        return badge(row.get_kind_display(), _BADGE_STYLES.get(Kind(row.kind), "plain"))

    @admin.display(description=_("row"))
    def changed_row(self, row: Any) -> Any:
        """Return the name of the row, with a link unless it was deleted; of a message, that of its conversation."""
        if row.row_id is None:
            return _("all rows")
        title = f"{row.name} · {row.row_id}" if row.name else str(row.row_id)
        if row.kind == Kind.DELETED:
            return title
        return format_html('<a href="{}">{}</a>', reverse(_PAGES[Resource(row.resource)], args=[row.row_id]), title)

    @admin.display(description=_("instance"))
    def number(self, row: Any) -> str:
        """Return the name of the instance."""
        return row.number_name or str(row.instance_id or EMPTY)

    @admin.display(description=_("transaction"))
    def transaction(self, row: Change) -> Any:
        """Return the transaction that made the change, with a link to all its changes; PostgreSQL only."""
        return format_html('<a href="?transaction={0}">{0}</a>', row.transaction_id) if IS_POSTGRESQL else EMPTY
