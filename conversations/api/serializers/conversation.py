"""The JSON of conversations and of the participants of groups."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from conversations.api.serializers.base import NestedFieldsSerializer, RowSerializer
from conversations.api.serializers.contact import ContactSerializer
from conversations.api.serializers.instance import InstanceSerializer
from conversations.models import Contact, Conversation, Instance, Message, Participant


class LastMessageSerializer(NestedFieldsSerializer):
    """A summary of the last message of a conversation."""

    null_when_empty = "last_message_id"

    id = serializers.IntegerField(source="last_message_id")
    at = serializers.DateTimeField(source="last_message_at")
    text = serializers.CharField(source="last_message_text", help_text="The beginning of the text.")
    kind = serializers.ChoiceField(Message.Kind.choices, source="last_message_kind")
    from_me = serializers.BooleanField(source="last_message_from_me")


class ConversationSerializer(RowSerializer[Conversation]):
    """One conversation of one instance."""

    expansions: ClassVar = {"instance": Instance.objects, "contact": Contact.objects}

    instance = InstanceSerializer(  # type: ignore[assignment]  # DRF removes fields from the class
        required=False, help_text="Only with `expand=instance`."
    )
    contact = ContactSerializer(required=False, allow_null=True, help_text="Only with `expand=contact`.")
    last_message = LastMessageSerializer()
    is_marked_unread = serializers.BooleanField(
        help_text="Marked as unread here; it counts as unread without unread messages."
    )
    labels = serializers.SerializerMethodField(
        help_text="Ids of the labels attached to the conversation. Their names are in the instance's `labels`."
    )

    class Meta:
        model = Conversation
        fields: tuple[str, ...] = (
            "id",
            "instance_id",
            "instance",
            "kind",
            "jid",
            "contact_id",
            "contact",
            "name",
            "custom_name",
            "last_message",
            "unread_count",
            "is_marked_unread",
            "is_archived",
            "is_pinned",
            "muted_until",
            "is_deleted",
            "labels",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    def get_labels(self, row: Conversation) -> list[str]:
        """Return the sorted ids of the labels that are attached to the conversation and were not deleted."""
        attached = [label_id for label_id, is_attached in row.labels.items() if is_attached]
        return sorted(set(attached) - self._deleted_labels().get(row.instance_id, set())) if attached else []

    def _deleted_labels(self) -> dict[int, set[str]]:
        """Return instance → ids of its deleted labels, read with one lookup for all rows of the response."""
        context = cast("dict[str, Any]", self.context)
        if "deleted_labels" not in context:
            shown: Any = self.root.instance  # the type leaves out that a serializer of rows has them
            rows = shown if isinstance(shown, Sequence) else [shown]
            chats = (row if isinstance(row, Conversation) else row.conversation for row in rows)
            instances = Instance.objects.fetch_many({chat.instance_id for chat in chats if any(chat.labels.values())})
            context["deleted_labels"] = {pk: instance.deleted_labels for pk, instance in instances.items()}
        return cast("dict[int, set[str]]", context["deleted_labels"])


class ParticipantSerializer(serializers.ModelSerializer[Participant]):
    """A participant of a group."""

    jid = serializers.CharField(source="contact.jid")
    phone = serializers.CharField(source="contact.phone")
    name = serializers.CharField(source="contact.name")

    class Meta:
        model = Participant
        fields = ("contact_id", "jid", "phone", "name", "role")
        read_only_fields = fields


class ConversationDetailSerializer(ConversationSerializer):
    """One conversation of one instance; a conversation with a group also has the participants."""

    participants = serializers.SerializerMethodField(help_text="Empty unless the conversation is a group.")

    class Meta(ConversationSerializer.Meta):
        fields = (*ConversationSerializer.Meta.fields, "participants")
        read_only_fields = fields

    @extend_schema_field(ParticipantSerializer(many=True))
    def get_participants(self, row: Conversation) -> list[dict[str, Any]]:
        """Return the current participants of the group."""
        return list(ParticipantSerializer(Participant.objects.present(row), many=True).data)
