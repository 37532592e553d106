"""The change log in the admin: what has changed, when, and in which transaction, the newest first.

The log is large, and has an index for its order only. So the list is of `WINDOW` changes, among which the filters
select: of the newest ones, or of those before a position, to which the link to older changes leads.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR
from django.db import connection
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from conversations.admin.access import may_view
from conversations.admin.base import BoundedAdmin
from conversations.admin.display_names import contact_display_name, conversation_display_name
from conversations.admin.filters import InstanceFilter
from conversations.admin.inbox.rows import instance_name
from conversations.admin.markup import EMPTY, badge
from conversations.admin.paginator import MAX_ROWS
from conversations.db.keyset import before, behind
from conversations.models import Change, Contact, Conversation, Instance

WINDOW = MAX_ROWS  # changes that the list and its filters read; its pages show all of them
IS_POSTGRESQL = connection.vendor == "postgresql"  # SQLite has no numbers of transactions
MAX_DIGITS = 18  # of the number of a transaction or of a change
BEFORE = "before"  # the query parameter with a position, such as "7-12": the columns of `ORDERING`
# The primary key of the table.
ORDERING = ("-transaction_id", "-id") if IS_POSTGRESQL else ("-id",)

Resource, Kind = Change.Resource, Change.Kind
_BADGE_STYLES = {Kind.CREATED: "good", Kind.UPDATED: "plain", Kind.DELETED: "bad", Kind.RESET: "waiting"}
# The page of a row, and the model that the user must be permitted to view.
_PAGES = {
    Resource.INSTANCE: ("admin:conversations_instance_change", "instance"),
    Resource.CONTACT: ("admin:conversations_contact_change", "contact"),
    Resource.CONVERSATION: ("admin:inbox_conversation", "conversation"),
    Resource.PARTICIPANTS: ("admin:inbox_conversation", "conversation"),
    Resource.MESSAGE: ("admin:conversations_message_change", "message"),
}


class TransactionFilter(admin.SimpleListFilter):
    """Selects the changes of one transaction, to which each row links."""

    title = _("transaction")
    parameter_name = "transaction"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's hook
        """Return the chosen transaction, because the others are too many to be offered."""
        value = request.GET.get(self.parameter_name, "")
        return [] if _number(value) is None else [(value, value)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Return the changes of the chosen transaction."""
        return queryset.filter(transaction_id=int(self.value() or 0)) if self.value() else queryset


class PositionFilter(admin.SimpleListFilter):
    """Offers the way back to the newest changes, if the list is of older ones; `ChangeAdmin` selects the rows."""

    title = _("time")
    parameter_name = BEFORE

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's hook
        """Return the chosen position."""
        value = request.GET.get(self.parameter_name, "")
        return [(value, str(_("older changes")))] if _position(value) else []

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield the choices, of which the first one stands for the newest changes."""
        newest, *others = super().choices(changelist)
        yield from ({**newest, "display": _("newest changes")}, *others)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Return all rows."""
        return queryset


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS else None


def _position(text: str) -> list[int] | None:
    numbers = [_number(part) for part in text.split("-")]
    known = [number for number in numbers if number is not None]
    return known if len(known) == len(numbers) == len(ORDERING) else None


@admin.register(Change)
class ChangeAdmin(BoundedAdmin):
    """List of the newest changes. A change has no page of its own; its row has one."""

    instance_field = "instance_id"
    ordering = ORDERING
    sortable_by = ()
    list_display = ("at", "kind_badge", "resource", "changed_row", "number", "transaction")
    list_display_links = None
    list_filter = (InstanceFilter, PositionFilter, "resource", "kind", TransactionFilter)
    change_list_template = "admin/conversations/change/change_list.html"
    empty_text = _("No changes are recorded. They appear when messages, contacts or conversations change.")

    def get_urls(self) -> list[Any]:
        """Return the URL of the list."""
        view = self.admin_site.admin_view(require_safe(self.changelist_view))  # there is nothing to send
        return [path("", view, name="conversations_change_changelist")]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return those changes of the window that are of the user's instances."""
        start, end = self._window(request)
        rows: QuerySet[Any] = super().get_queryset(request).filter(start)
        return rows.filter(before(ORDERING, end[1])) if end else rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, with a link to the changes that are older than those of the window."""
        _start, end = self._window(request)
        query = request.GET.copy()
        query.pop(PAGE_VAR, None)
        if end:
            query[BEFORE] = "-".join(map(str, end[0]))
        return super().changelist_view(request, {"older": query.urlencode() if end else "", **(extra_context or {})})

    def _window(self, request: HttpRequest) -> tuple[Q, list[tuple[int, ...]]]:
        """Return the condition for the start of the window, and its last change and the one behind, if there is one."""
        position, transaction = _position(request.GET.get(BEFORE, "")), _number(request.GET.get("transaction", ""))
        start = Q() if position is None else behind(ORDERING, position)
        if IS_POSTGRESQL and transaction is not None:
            start &= Q(transaction_id=transaction)
        columns = [name.lstrip("-") for name in ORDERING]
        end = list(Change.objects.filter(start).order_by(*ORDERING).values_list(*columns)[WINDOW - 1 : WINDOW + 1])
        return start, end if len(end) > 1 else []

    def rows_shown(self, request: HttpRequest, rows: list[Any]) -> None:
        """Read the names of the changed rows that the user may view, with one query for each kind of row."""
        viewed = {model for _page, model in _PAGES.values() if may_view(request, model)}
        chats = {row.conversation_id for row in rows if row.conversation_id and "conversation" in viewed}
        people = {row.row_id for row in rows if row.resource == Resource.CONTACT and row.row_id and "contact" in viewed}
        numbers = {row.instance_id for row in rows if row.instance_id}
        found_chats, found_people = Conversation.objects.fetch_many(chats), Contact.objects.fetch_many(people)
        found_numbers = Instance.objects.fetch_many(numbers)
        for row in rows:
            number, chat = found_numbers.get(row.instance_id), found_chats.get(row.conversation_id)
            person = found_people.get(row.row_id) if row.resource == Resource.CONTACT else None
            row.number_name, row.viewed = instance_name(number) if number else "", viewed
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
        """Return the name of the row, or of a message's conversation, with a link to its page if there is one."""
        if row.row_id is None:
            return _("all rows")
        title = f"{row.name} · {row.row_id}" if row.name else str(row.row_id)
        page, model = _PAGES[Resource(row.resource)]
        if row.kind == Kind.DELETED or model not in row.viewed:
            return title
        return format_html('<a href="{}">{}</a>', reverse(page, args=[row.row_id]), title)

    @admin.display(description=_("instance"))
    def number(self, row: Any) -> str:
        """Return the name of the instance."""
        return row.number_name or str(row.instance_id or EMPTY)

    @admin.display(description=_("transaction"))
    def transaction(self, row: Change) -> Any:
        """Return the transaction that made the change, with a link to all its changes; PostgreSQL only."""
        return format_html('<a href="?transaction={0}">{0}</a>', row.transaction_id) if IS_POSTGRESQL else EMPTY
