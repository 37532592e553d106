"""Admin pages of contacts."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from conversations.admin import contact_chats
from conversations.admin.display_names import contact_display_name
from conversations.admin.filters import InstanceFilter
from conversations.admin.markup import EMPTY, format_time, web_link
from conversations.admin.search import SearchAdmin
from conversations.models import Contact
from conversations.search.find import contact_pks

MAX_ADDRESSES = 20  # maximum number of addresses that a contact's admin page shows


@admin.register(Contact)
class ContactAdmin(SearchAdmin):
    """Admin of the contacts of all instances, ordered by name."""

    ordering = ("name", "id")
    sortable_by = ("display_name",)
    list_display = ("display_name", "phone", "lid", "chats", "instance_name", "seen")
    list_only_fields = (
        "name", "jid", "phone", "lid", "presence", "last_seen_at", "instance__name",
    )  # fmt: skip
    list_filter = (InstanceFilter, "presence")
    required_models: ClassVar[Any] = {"chats": "conversation", "conversations": "conversation"}
    checked = ("presence__exact",)
    find_pks = staticmethod(contact_pks)
    empty_text = _("No contacts yet. They appear with the first messages of a connected number.")
    search_help_text = _("Search by the beginning of words of a name, by a phone number in any writing, or by a LID.")

    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("name", "custom_name", "saved_name", "push_name", "instance")}),
        (_("Conversations"), {"fields": ("conversations",)}),
        (_("Addresses"), {"fields": ("jid", "phone", "lid", "all_addresses")}),
        (_("State"), {"fields": ("presence", "last_seen_at", "picture")}),
        (_("Record"), {"fields": ("id", "created_at", "updated_at")}),
    )

    def rows_shown(self, request: HttpRequest, rows: list[Any]) -> None:
        """Read the latest conversations of all contacts of the list, with a constant number of queries."""
        found = contact_chats.latest_of_each(rows) if self.shows(request, "chats") else {}
        for row in rows:
            row.latest_chats = found.get(row.pk, [])

    @admin.display(description=_("name"), ordering="name")
    def display_name(self, row: Contact) -> str:
        """Return the contact's name, or the number of a contact without a name."""
        return contact_display_name(row)

    @admin.display(description=_("conversations"))
    def chats(self, row: Any) -> SafeString | str:
        """Return links to the latest conversations of a row of the list, which `rows_shown` has read."""
        return contact_chats.links(row.pk, getattr(row, "latest_chats", ()), contact_chats.SHOWN_IN_LIST)

    @admin.display(description=_("presence"))
    def seen(self, row: Contact) -> SafeString | str:
        """Return the presence, and when the contact was last seen if that is known."""
        presence = row.get_presence_display()
        if row.last_seen_at is None:
            return presence
        return format_html('{}<span class="cell-detail">{}</span>', presence, format_time(row.last_seen_at))

    @admin.display(description=_("conversations"))
    def conversations(self, row: Contact) -> SafeString | str:
        """Return links to the latest conversations of the contact."""
        return contact_chats.links(row.pk, contact_chats.latest(row.pk), contact_chats.SHOWN, with_time=True)

    @admin.display(description=_("all addresses"))
    def all_addresses(self, row: Contact) -> str:
        """Return the first `MAX_ADDRESSES` addresses of the contact, separated by commas."""
        return ", ".join(row.addresses.order_by("id").values_list("jid", flat=True)[:MAX_ADDRESSES]) or EMPTY

    @admin.display(description=_("picture"))
    def picture(self, row: Contact) -> SafeString | str:
        """Return a link to the picture, because an embedded picture would make browsers send requests to WhatsApp."""
        return web_link(row.picture_url)
