"""Puts the demo's conversations in order, as the people who answer them would: pins, mutes, archives and marks some."""

import datetime as dt
from collections.abc import Sequence

from django.db.models import Q

from conversations.demo.demo_instances import INSTANCES
from conversations.models import Conversation
from conversations.models.bulk_changes import change_many
from conversations.models.conversation_filters import ConversationFilters

# action → (place of the first conversation that is changed, latest first; the distance to the next one; how many)
_CHANGES = {
    "pin": (2, 5, 2),
    "mute": (3, 6, 2),
    "mark_unread": (5, 1, 1),
    "archive": (12, 4, 12),
}
_ARGUMENTS = {"mute": dt.datetime(2100, 1, 1, tzinfo=dt.UTC)}  # for as long as the demo is used


def tidy() -> None:
    """Change conversations of each demo instance, unless the demo's conversations are in order already."""
    names = [instance.name for instance in INSTANCES]
    chats = Conversation.objects.filter(instance__name__in=names)
    if chats.filter(Q(is_pinned=True) | Q(is_archived=True)).exists():
        return
    for name in names:
        latest = list(chats.filter(instance__name=name).order_by("-last_message_at", "pk").values_list("pk", flat=True))
        for action, places in _CHANGES.items():
            _change(action, latest, *places)


def _change(action: str, latest: Sequence[int], first: int, step: int, count: int) -> None:
    pks = tuple(latest[first : first + step * count : step])
    if pks:
        change_many(action, ConversationFilters(ids=pks), None, argument=_ARGUMENTS.get(action))
