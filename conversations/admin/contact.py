"""Contacts, as WhatsApp names them."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from conversations.admin.base import InstanceRowsAdmin, digits_of_number
from conversations.admin.display_names import name_of
from conversations.admin.filters import InstanceFilter
from conversations.admin.markup import NOTHING, web_link
from conversations.models import Contact, Conversation


@admin.register(Contact)
class ContactAdmin(InstanceRowsAdmin):
    """Who writes to the instances."""

    ordering = ("name", "id")
    sortable_by = ("shown_name",)
    list_display = ("shown_name", "phone", "lid", "instance_name", "presence", "last_seen_at", "updated_at")
    listed = (
        "name", "jid", "phone", "lid", "presence", "last_seen_at", "updated_at", "instance__name",
    )  # fmt: skip
    list_filter = (InstanceFilter, "presence")
    search_fields = ("name", "phone__contains", "lid__contains")
    search_help_text = "Part of a name, of a phone number or of a LID."

    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("name", "instance", "conversation_link")}),
        ("Addresses", {"fields": ("jid", "phone", "lid", "known_addresses")}),
        ("State", {"fields": ("presence", "last_seen_at", "picture")}),
        ("Row", {"fields": ("id", "created_at", "updated_at")}),
    )

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Search; a phone number may be written as people write it."""
        return super().get_search_results(request, queryset, digits_of_number(search_term))

    @admin.display(description="name", ordering="name")
    def shown_name(self, row: Contact) -> str:
        """Show the name, or the number of who has none."""
        return name_of(row)

    @admin.display(description="conversation")
    def conversation_link(self, row: Contact) -> SafeString | str:
        """Lead to the chat with them."""
        pk = Conversation.objects.filter(contact=row).values_list("pk", flat=True).first()
        if pk is None:
            return NOTHING
        return format_html('<a href="{}">open</a>', reverse("admin:conversations_conversation_change", args=[pk]))

    @admin.display(description="all addresses")
    def known_addresses(self, row: Contact) -> str:
        """Show every address that is theirs."""
        return ", ".join(row.addresses.order_by("id").values_list("jid", flat=True)[:20]) or NOTHING

    @admin.display(description="picture")
    def picture(self, row: Contact) -> SafeString | str:
        """Link the picture: shown here, it would tell WhatsApp who looks."""
        return web_link(row.picture_url)
