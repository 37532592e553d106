"""Admin actions on conversations. Each action calls one method of the model's manager per selected conversation."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import pluralize

from conversations.admin.access import permitted
from conversations.models import Conversation, Scope
from conversations.models.conversation_changes import ACTIONS

# The methods of `Conversation.objects` that the actions call.
NAMES = ("mark_read", "mark_unread", "archive", "unarchive", "pin", "unpin")

Action = Callable[[Any, HttpRequest, QuerySet[Conversation]], None]


def conversation_actions() -> list[Action]:
    """Return one admin action per entry of `NAMES`."""
    return [_make_action(name, ACTIONS[name].title) for name in NAMES]


def _make_action(operation: str, label: str) -> Action:
    def run(modeladmin: Any, request: HttpRequest, queryset: QuerySet[Conversation]) -> None:
        updated = 0
        for pk in permitted(request, queryset, Scope.WRITE).values_list("pk", flat=True):
            try:
                getattr(Conversation.objects, operation)(pk)
            except Conversation.DoesNotExist:
                continue  # the conversation was deleted after its primary key was read
            updated += 1
        text = f"{label}: {updated} conversation{pluralize(updated)} updated."
        modeladmin.message_user(request, text, messages.SUCCESS)

    run.__name__ = operation
    return admin.action(run, description=label, permissions=["change"])
