"""What can be done to several conversations at once: the manager's operations, one row after the other."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from conversations.models import Conversation

# operation of the manager → its label
LABELS = {
    "mark_read": "Mark as read",
    "archive": "Archive",
    "unarchive": "Take out of the archive",
    "pin": "Pin",
    "unpin": "Unpin",
}

Action = Callable[[Any, HttpRequest, QuerySet[Conversation]], None]


def conversation_actions() -> list[Action]:
    """Return one admin action for each operation."""
    return [_action(operation, label) for operation, label in LABELS.items()]


def _action(operation: str, label: str) -> Action:
    def run(modeladmin: Any, request: HttpRequest, queryset: QuerySet[Conversation]) -> None:
        done = 0
        for pk in queryset.values_list("pk", flat=True):
            try:
                getattr(Conversation.objects, operation)(pk)
            except Conversation.DoesNotExist:
                continue  # deleted since the list was read
            done += 1
        modeladmin.message_user(request, f"{label}: {done} done.", messages.SUCCESS)

    run.__name__ = operation
    return admin.action(run, description=label, permissions=["change"])
