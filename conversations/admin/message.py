"""Admin pages of chat messages: users search messages by text and inspect all fields of one message."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from conversations.access.records import Shown, record_reading
from conversations.admin.display_names import YOU, conversation_display_name
from conversations.admin.filters import InstanceFilter, MessageStatusFilter
from conversations.admin.markup import pretty_json
from conversations.admin.message_content import PREVIEW_LENGTH, preview
from conversations.admin.search import MAX_FOUND, SearchAdmin
from conversations.models import Instance, Message, ReadingRecord
from conversations.models.instance_scoped import scope
from conversations.search.find import message_pks


@admin.register(Message)
class MessageAdmin(SearchAdmin):
    """Admin of the chat messages of all instances, latest first by WhatsApp's timestamp."""

    ordering = ("-timestamp", "-sent_order", "-key_id", "-id")
    sortable_by = ("timestamp",)
    list_display = ("timestamp", "conversation_name", "author", "text_preview", "status", "instance_name")
    list_display_links = ("timestamp", "text_preview")
    list_only_fields = (
        "timestamp", "key_id", "kind", "from_me", "sender_name", "status", "is_deleted",
        "instance__name", "conversation__name", "conversation__jid",
    )  # fmt: skip
    list_select_related = ("instance", "conversation")
    list_filter = (InstanceFilter, "timestamp", "kind", "from_me", MessageStatusFilter, "is_deleted", "is_history")
    checked = ("from_me__exact", "status__exact", "is_deleted__exact", "is_history__exact")
    required_models: ClassVar[Any] = {
        "conversation_name": "conversation", "conversation": "conversation", "sender": "contact",
    }  # fmt: skip
    extra_lookups = ("conversation__id__exact",)
    find_pks = staticmethod(message_pks)
    empty_text = _("No messages yet. They appear as soon as a connected number sends or receives one.")
    search_help_text = _("Search by the beginning of words of the text, or by a complete WhatsApp id.")

    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("conversation", "instance", "key_id", "timestamp")}),
        (_("Sender"), {"fields": ("from_me", "sender", "sender_name", "source")}),
        (_("Content"), {"fields": ("kind", "text", "media_json", "details_json")}),
        (_("Reply to"), {"fields": ("quoted_key_id", "quoted_sender", "quoted_text")}),
        (
            _("Updates"),
            {"fields": ("status", "is_deleted", "edited_at", "original_text", "reactions_json", "poll_results_json")},
        ),
        (_("Record"), {"fields": ("id", "is_history", "created_at", "updated_at")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the user's instances, with the beginning of the text instead of the text."""
        rows: QuerySet[Any] = super().get_queryset(request).annotate(text_beginning=Left("text", PREVIEW_LENGTH + 1))
        return rows

    def pks_by_id(self, term: str, instances: Any) -> list[int]:
        """Return the primary keys of the messages with this WhatsApp id."""
        every = Q(instance__in=Instance.objects.values("pk"))  # the index of the ids begins with the instance
        rows = Message.objects.filter(every if instances is None else scope(instances), key_id=term)
        return list(rows.values_list("pk", flat=True)[:MAX_FOUND])

    def rows_shown(self, request: HttpRequest, rows: list[Message]) -> None:
        """Record that a list shows messages."""
        record_reading(request.user, ReadingRecord.Page.MESSAGES, map(_shown, rows))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Render the page of a message, and record that it is shown."""
        row = kwargs["obj"]
        record_reading(request.user, ReadingRecord.Page.MESSAGE, [_shown(row)], row.pk)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description=_("conversation"))
    def conversation_name(self, row: Message) -> str:
        """Return the name or number of the message's conversation."""
        return conversation_display_name(row.conversation)

    @admin.display(description=_("from"))
    def author(self, row: Message) -> str:
        """Return "You" for a message that the instance sent, else the sender's name as the message contains it."""
        return str(YOU) if row.from_me else row.sender_name

    @admin.display(description=_("message"))
    def text_preview(self, row: Any) -> str:
        """Return the symbol of the message's kind and the beginning of the text; a symbol marks a deleted message."""
        return f"{'🗑 ' if row.is_deleted else ''}{preview(row.kind, row.text_beginning)}"

    @admin.display(description=_("media"))
    def media_json(self, row: Message) -> SafeString | str:
        """Return the properties of the message's file as JSON."""
        return pretty_json(row.media)

    @admin.display(description=_("details"))
    def details_json(self, row: Message) -> SafeString | str:
        """Return the data of the message besides text and file, such as a location, as JSON."""
        return pretty_json(row.details)

    @admin.display(description=_("reactions"))
    def reactions_json(self, row: Message) -> SafeString | str:
        """Return the reactions to the message as JSON, including removed reactions."""
        return pretty_json(row.reactions)

    @admin.display(description=_("poll results"))
    def poll_results_json(self, row: Message) -> SafeString | str:
        """Return the votes in the message's poll as JSON."""
        return pretty_json(row.poll_results)


def _shown(row: Message) -> Shown:
    return Shown(row.instance_id, row.conversation_id, row.conversation.jid)
