"""Single messages: for who looks for a text, or asks what became of one message."""

from typing import Any, ClassVar

from django.contrib import admin
from django.utils.safestring import SafeString

from conversations.admin.base import InstanceRowsAdmin
from conversations.admin.content import preview
from conversations.admin.display_names import YOU, name_of_chat
from conversations.admin.filters import InstanceFilter
from conversations.admin.markup import pretty_json
from conversations.models import Message


@admin.register(Message)
class MessageAdmin(InstanceRowsAdmin):
    """Every message of every instance, by WhatsApp's time."""

    ordering = ("-timestamp", "-key_id", "-id")
    sortable_by = ("timestamp",)
    list_display = ("timestamp", "conversation_name", "direction", "preview", "status", "instance_name")
    list_display_links = ("timestamp", "preview")
    listed = (
        "timestamp", "key_id", "kind", "text", "from_me", "sender_name", "status", "is_deleted",
        "instance__name", "conversation__name", "conversation__jid",
    )  # fmt: skip
    list_select_related = ("instance", "conversation")
    list_filter = (InstanceFilter, "timestamp", "kind", "from_me", "status", "is_deleted", "is_history")
    search_fields = ("text", "key_id__exact")
    search_help_text = "Part of a text, or a whole WhatsApp id. Among millions, choose an instance or days first."

    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("conversation", "instance", "key_id", "timestamp")}),
        ("Sender", {"fields": ("from_me", "sender", "sender_name", "source")}),
        ("Content", {"fields": ("kind", "text", "media_json", "details_json")}),
        ("Answer to", {"fields": ("quoted_key_id", "quoted_sender", "quoted_text")}),
        (
            "Since then",
            {"fields": ("status", "is_deleted", "edited_at", "original_text", "reactions_json", "poll_json")},
        ),
        ("Row", {"fields": ("id", "is_history", "created_at", "updated_at")}),
    )

    @admin.display(description="conversation")
    def conversation_name(self, row: Message) -> str:
        """Show where it was written."""
        return name_of_chat(row.conversation)

    @admin.display(description="from")
    def direction(self, row: Message) -> str:
        """Show who wrote it."""
        return YOU if row.from_me else row.sender_name

    @admin.display(description="message")
    def preview(self, row: Message) -> str:
        """Show the beginning of the text, and the kind of what is no mere text."""
        return f"{'🗑 ' if row.is_deleted else ''}{preview(row.kind, row.text)}"

    @admin.display(description="media")
    def media_json(self, row: Message) -> SafeString | str:
        """Show the file's description."""
        return pretty_json(row.media)

    @admin.display(description="details")
    def details_json(self, row: Message) -> SafeString | str:
        """Show what the kind has beside text and media."""
        return pretty_json(row.details)

    @admin.display(description="reactions")
    def reactions_json(self, row: Message) -> SafeString | str:
        """Show who reacted, those who took it back too."""
        return pretty_json(row.reactions)

    @admin.display(description="poll results")
    def poll_json(self, row: Message) -> SafeString | str:
        """Show who voted for what."""
        return pretty_json(row.poll_results)
