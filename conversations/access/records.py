"""Records which staff user has read which conversation in the admin."""

from typing import Any

from conversations.models import Conversation, ReadingRecord


def record_reading(user: Any, conversation: Conversation) -> None:
    """Record that a user has read a page of a conversation; the record outlives the user and the conversation."""
    ReadingRecord.objects.create(
        user=user,
        username=user.get_username(),
        instance_id=conversation.instance_id,
        conversation_pk=conversation.pk,
        conversation_jid=conversation.jid,
    )
