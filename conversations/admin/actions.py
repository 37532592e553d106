"""Admin actions on conversations, which change all selected conversations at once, as the API does."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from conversations.admin.access import permitted
from conversations.models import Conversation, Scope
from conversations.models.bulk_changes import change_many
from conversations.models.conversation_changes import ACTIONS
from conversations.models.conversation_filters import ConversationFilters

# The changes that need nothing but a conversation.
NAMES = [name for name, action in ACTIONS.items() if not action.argument]

Action = Callable[[Any, HttpRequest, QuerySet[Conversation]], None]


def conversation_actions() -> list[Action]:
    """Return one admin action per entry of `NAMES`."""
    return [_make_action(name, ACTIONS[name].title) for name in NAMES]


def _make_action(name: str, title: str) -> Action:
    def run(modeladmin: Any, request: HttpRequest, queryset: QuerySet[Conversation]) -> None:
        pks = permitted(request, queryset, Scope.WRITE).values_list("pk", flat=True)
        selected = ConversationFilters(ids=tuple(pks), deleted=None)
        portion = change_many(name, selected, None)
        count = len(portion.changed) + len(portion.unchanged)
        text = ngettext("%(count)d conversation updated.", "%(count)d conversations updated.", count) % {"count": count}
        modeladmin.message_user(request, f"{_(title)}: {text}", messages.SUCCESS)

    run.__name__ = name
    return admin.action(run, description=gettext_lazy(title), permissions=["change"])
