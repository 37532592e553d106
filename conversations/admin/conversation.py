"""Admin pages of conversations: a list, and one page per conversation that shows its messages as a chat."""

import datetime as dt
from heapq import nsmallest
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from conversations.access.records import Shown, record_reading
from conversations.admin.access import may_view
from conversations.admin.actions import conversation_actions
from conversations.admin.base import ReadOnly
from conversations.admin.chat_page import load_chat_page
from conversations.admin.contact_chats import ContactFilter
from conversations.admin.display_names import contact_display_name, conversation_display_name
from conversations.admin.filters import InstanceFilter, UnreadFilter
from conversations.admin.markup import EMPTY, badge, format_time
from conversations.admin.message_content import preview
from conversations.admin.search import SearchAdmin
from conversations.models import EPOCH, Conversation, Participant, ReadingRecord, Scope
from conversations.models.instance import MAX_LABELS
from conversations.search.find import conversation_pks


@admin.register(Conversation)
class ConversationAdmin(SearchAdmin):
    """Admin of all conversations, sorted by the time of the last message, latest first.

    Users can change only fields whose values do not come from WhatsApp.
    """

    ordering = ("-last_message_at", "-id")
    sortable_by = ("last_message_time",)
    list_display = (
        "display_name", "last_message_preview", "unread", "flags", "last_message_time", "kind", "instance_name",
    )  # fmt: skip
    list_only_fields = (
        "name", "jid", "kind", "last_message_at", "last_message_text", "last_message_kind", "last_message_from_me",
        "unread_count", "unread_mark", "read_until", "is_archived", "is_pinned", "is_deleted", "muted_until",
        "instance__name",
    )  # fmt: skip
    list_filter = (InstanceFilter, ContactFilter, UnreadFilter, "is_archived", "is_pinned", "kind", "is_deleted")
    required_models: ClassVar[Any] = {
        "last_message_preview": "message", "contact": "contact", "participant_names": "contact",
    }  # fmt: skip
    find_pks = staticmethod(conversation_pks)
    empty_text = _("No conversations yet. They appear with the first messages of a connected number.")
    search_help_text = _("Search by the beginning of words of a name, or by a phone number in any writing.")
    actions = conversation_actions()

    editable_fields = ("custom_name", "is_archived", "is_pinned", "muted_until")
    fieldsets: ClassVar[Any] = (
        (_("Local state"), {"fields": (*editable_fields, "unread_count", "read_watermark")}),
        (
            "WhatsApp",
            {
                "fields": (
                    "name",
                    "kind",
                    "jid",
                    "contact",
                    "instance",
                    "participant_names",
                    "label_names",
                    "is_deleted",
                )
            },
        ),
        (_("Record"), {"fields": ("id", "created_at", "updated_at")}),
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user has Django's change permission, and a role that permits changes of this row."""
        may = obj is None or self.may(request, obj, Scope.WRITE)
        return may and super(ReadOnly, self).has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may delete this conversation with its messages; the list has no delete action."""
        may = obj is not None and self.may(request, obj, Scope.WRITE)
        return may and super(ReadOnly, self).has_delete_permission(request, obj)

    def delete_model(self, request: HttpRequest, obj: Conversation) -> None:  # noqa: ARG002 - Django's hook
        """Delete the conversation through the model's manager, which locks the conversation's row."""
        Conversation.objects.delete(obj.pk)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:  # noqa: ARG002 - Django's hook
        """Write only the fields changed in the form: the ingestion worker may have updated other fields meanwhile."""
        Conversation.objects.change(obj.pk, **{name: form.cleaned_data[name] for name in form.changed_data})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Render the form, and the chat messages if the user has the permission to view messages."""
        row = kwargs.get("obj")
        if row is not None and may_view(request, "message"):
            chat_page = load_chat_page(row, request.GET.get("cursor", ""))
            if chat_page.is_cursor_invalid:
                text = _("The page link is invalid. The latest messages are shown instead.")
                self.message_user(request, text, messages.WARNING)
            context["chat_page"] = chat_page
            record_reading(request.user, ReadingRecord.Page.CONVERSATION, [_shown(row)], row.pk)
        return super().render_change_form(request, context, *args, **kwargs)

    def rows_shown(self, request: HttpRequest, rows: list[Conversation]) -> None:
        """Record that a list shows the last message of each conversation."""
        if may_view(request, "message"):
            shown = [_shown(row) for row in rows if row.last_message_at != EPOCH]
            record_reading(request.user, ReadingRecord.Page.CONVERSATIONS, shown)

    @admin.display(description=_("name"))
    def display_name(self, row: Conversation) -> str:
        """Return the conversation's name, or the number of a conversation without a name."""
        return conversation_display_name(row)

    @admin.display(description=_("last message"))
    def last_message_preview(self, row: Conversation) -> str:
        """Return the beginning of the conversation's last message."""
        if row.last_message_at == EPOCH:
            return EMPTY
        you = f"{_('You:')} " if row.last_message_from_me else ""
        return f"{you}{preview(row.last_message_kind, row.last_message_text)}"

    @admin.display(description=_("time"), ordering="last_message_at")
    def last_message_time(self, row: Conversation) -> dt.datetime | None:
        """Return WhatsApp's timestamp of the conversation's last message."""
        return None if row.last_message_at == EPOCH else row.last_message_at

    @admin.display(description=_("unread"), empty_value="")
    def unread(self, row: Conversation) -> SafeString | str:
        """Return the number of unread messages as a badge, a dot if it is marked as unread, or "" if it is read."""
        text = str(row.unread_count or "") or ("●" if row.is_marked_unread else "")
        return badge(text, "good") if text else ""

    @admin.display(description="", empty_value="")
    def flags(self, row: Conversation) -> SafeString:
        """Return a symbol for each state that the conversation has: pinned, archived, muted, deleted."""
        is_muted = row.muted_until is not None and row.muted_until > timezone.now()
        flags = (
            (_("pinned"), "📌", row.is_pinned),
            (_("archived"), "📥", row.is_archived),
            (_("muted"), "🔇", is_muted),
            (_("deleted on the phone"), "🗑", row.is_deleted),
        )
        symbols = ((name, symbol) for name, symbol, is_set in flags if is_set)
        return format_html_join(" ", '<span title="{}">{}</span>', symbols)

    @admin.display(description=_("read until"))
    def read_watermark(self, row: Conversation) -> str:
        """Return the time up to which the conversation's messages count as read."""
        return EMPTY if row.read_until == EPOCH else format_time(row.read_until)

    @admin.display(description=_("participants"))
    def participant_names(self, row: Conversation) -> SafeString | str:
        """Return the names of the group's first participants, and the role of each participant who is an admin."""
        shown = Participant.objects.shown(row)
        names_and_roles = ((contact_display_name(one.contact), _role_suffix(one)) for one in shown)
        others = Participant.objects.count_present(row) - len(shown)
        names = format_html_join(", ", "<bdi>{}</bdi>{}", names_and_roles)
        return format_html("{}{}", names, _more(others)) if shown else EMPTY

    @admin.display(description=_("labels"))
    def label_names(self, row: Conversation) -> str:
        """Return the names of the conversation's first labels; a label whose name is unknown is shown by its id."""
        labels, attached = row.instance.labels, row.attached_labels - row.instance.deleted_labels
        shown = nsmallest(MAX_LABELS, attached)
        names = ", ".join(str((labels.get(label_id) or {}).get("name") or label_id) for label_id in shown)
        return f"{names}{_more(len(attached) - len(shown))}" or EMPTY


def _shown(row: Conversation) -> Shown:
    return Shown(row.instance_id, row.pk, row.jid)


def _more(count: int) -> str:
    """Return what stands behind the first items of a list; `count` is the number of the others."""
    return " " + _("and %(count)s more") % {"count": number_format(count, force_grouping=True)} if count > 0 else ""


def _role_suffix(participant: Participant) -> str:
    return "" if participant.role == Participant.Role.MEMBER else f" ({participant.get_role_display()})"
