"""Conversations: one list of all chats, and one page a chat on which it reads as a chat."""

import datetime as dt
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from conversations.admin import chat_page
from conversations.admin.actions import conversation_actions
from conversations.admin.base import BoundedAdmin, InstanceRowsAdmin, digits_of_number
from conversations.admin.content import preview
from conversations.admin.display_names import name_of, name_of_chat
from conversations.admin.filters import InstanceFilter, UnreadFilter
from conversations.admin.markup import NOTHING, badge, moment
from conversations.models import EPOCH, Conversation


@admin.register(Conversation)
class ConversationAdmin(InstanceRowsAdmin):
    """All chats, the latest first. What is not WhatsApp's can be changed: archived, pinned, muted."""

    ordering = ("-last_message_at", "-id")
    sortable_by = ("latest",)
    list_display = ("shown_name", "latest_message", "unread", "flags", "latest", "kind", "instance_name")
    listed = (
        "name", "jid", "kind", "last_message_at", "last_message_text", "last_message_kind", "last_message_from_me",
        "unread_count", "is_archived", "is_pinned", "is_deleted", "muted_until", "instance__name",
    )  # fmt: skip
    list_filter = (InstanceFilter, UnreadFilter, "is_archived", "is_pinned", "kind", "is_deleted")
    search_fields = ("name", "jid__contains")
    search_help_text = "Part of a name or of a number."
    actions = conversation_actions()

    local = ("is_archived", "is_pinned", "muted_until")
    fieldsets: ClassVar[Any] = (
        ("Here", {"fields": (*local, "unread_count", "read_up_to")}),
        (
            "WhatsApp",
            {"fields": ("name", "kind", "jid", "contact", "instance", "members", "label_names", "is_deleted")},
        ),
        ("Row", {"fields": ("id", "created_at", "updated_at")}),
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Some of it is not WhatsApp's."""
        return super(BoundedAdmin, self).has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One at a time: its messages go with it."""
        return obj is not None and super(BoundedAdmin, self).has_delete_permission(request, obj)

    def delete_model(self, request: HttpRequest, obj: Conversation) -> None:  # noqa: ARG002 - Django's hook
        """Delete it as everybody does."""
        Conversation.objects.delete(obj.pk)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:  # noqa: ARG002 - Django's hook
        """Write only what was changed here: an event may have changed other fields meanwhile."""
        obj.save(update_fields=[*form.changed_data, "updated_at"])

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Search; a phone number may be written as people write it."""
        return super().get_search_results(request, queryset, digits_of_number(search_term))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Put the chat beside the form."""
        row = kwargs.get("obj")
        if row is not None and _may_read_messages(request):
            context["chat"] = chat_page.read(row, request.GET.get("cursor", ""))
            if context["chat"].is_lost:
                text = "That place in the conversation is not known; these are the latest messages."
                self.message_user(request, text, messages.WARNING)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="name")
    def shown_name(self, row: Conversation) -> str:
        """Show the name, or the number of who has none."""
        return name_of_chat(row)

    @admin.display(description="last message")
    def latest_message(self, row: Conversation) -> str:
        """Show the beginning of the last message."""
        if row.last_message_at == EPOCH:
            return NOTHING
        return f"{'You: ' if row.last_message_from_me else ''}{preview(row.last_message_kind, row.last_message_text)}"

    @admin.display(description="latest", ordering="last_message_at")
    def latest(self, row: Conversation) -> dt.datetime | None:
        """Show when the last message was sent."""
        return None if row.last_message_at == EPOCH else row.last_message_at

    @admin.display(description="unread", empty_value="")
    def unread(self, row: Conversation) -> SafeString | str:
        """Show how many messages are not read."""
        return badge(str(row.unread_count), "good") if row.unread_count else ""

    @admin.display(description="", empty_value="")
    def flags(self, row: Conversation) -> SafeString:
        """Show what is special about it."""
        is_muted = row.muted_until is not None and row.muted_until > timezone.now()
        signs = (
            ("pinned", "📌", row.is_pinned),
            ("archived", "📥", row.is_archived),
            ("muted", "🔇", is_muted),
            ("deleted on the phone", "🗑", row.is_deleted),
        )
        shown = ((name, sign) for name, sign, is_so in signs if is_so)
        return format_html_join(" ", '<span title="{}">{}</span>', shown)

    @admin.display(description="read up to")
    def read_up_to(self, row: Conversation) -> str:
        """Show the read watermark."""
        return NOTHING if row.read_until == EPOCH else moment(row.read_until)

    @admin.display(description="participants")
    def members(self, row: Conversation) -> SafeString | str:
        """Show who is in the group, admins marked."""
        present = Conversation.objects.participants(row)
        shown = ((name_of(one.contact), "" if one.role == one.Role.MEMBER else f" ({one.role})") for one in present)
        return format_html_join(", ", "<bdi>{}</bdi>{}", shown) or NOTHING

    @admin.display(description="labels")
    def label_names(self, row: Conversation) -> str:
        """Show the labels by the names that the instance has for them."""
        known = row.instance.labels
        given = [label for label, is_there in row.labels.items() if is_there]
        return ", ".join(str((known.get(label) or {}).get("name") or label) for label in given) or NOTHING


def _may_read_messages(request: HttpRequest) -> bool:
    return any(request.user.has_perm(f"conversations.{verb}_message") for verb in ("view", "change"))
