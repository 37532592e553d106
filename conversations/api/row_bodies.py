"""The bodies of requests that change a contact or a conversation."""

from typing import Any

from rest_framework import serializers

from cachelayer.orm.managers import MAX_ID
from conversations.api.bodies import Body, BoundedListField, SwitchField, TextField, WholeField
from conversations.api.serializers.contact import ContactSerializer
from conversations.api.serializers.conversation import ConversationDetailSerializer
from conversations.models.instance import MAX_LABELS


class NameField(TextField):
    """A name that is shown instead of the one in WhatsApp; null and "" take it back."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=255, allow_null=True, allow_blank=True, required=False, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Return the name; None to take it back."""
        return super().run_validation(data) or None


class LabelField(TextField):
    """The id of a label."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, max_length=64, trim_whitespace=False, **options)


class ContactBody(Body):
    """The new values of a contact. Fields that are left out keep their values."""

    names_of_row = ContactSerializer.Meta.fields

    custom_name = NameField(
        help_text='The name to show for the contact and the conversation with it; null or "" for the one in WhatsApp.'
    )


class ConversationBody(Body):
    """The new values of a conversation. Fields that are left out keep their values."""

    names_of_row = ConversationDetailSerializer.Meta.fields

    custom_name = NameField(
        help_text='The name to show; null or "" for the one in WhatsApp. A direct conversation has its contact\'s name.'
    )
    labels = BoundedListField(
        child=LabelField(),
        max_length=MAX_LABELS,
        required=False,
        help_text="The ids of all labels that are attached from now on; they are among the instance's `labels`.",
    )
    is_archived = SwitchField(required=False)
    is_pinned = SwitchField(required=False)
    muted_until = serializers.DateTimeField(allow_null=True, required=False, help_text="null if it is not muted.")


class ReadBody(Body):
    """Up to where a conversation is marked as read."""

    until = WholeField(
        min_value=1,
        max_value=MAX_ID,
        required=False,
        help_text="The id of the last message that is read; without it, all messages are.",
    )
