"""The JSON of conversations and of the participants of groups."""

from collections.abc import Sequence
from heapq import nsmallest
from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from conversations.api.serializers.base import NestedFieldsSerializer, RowSerializer
from conversations.api.serializers.contact import ContactSerializer
from conversations.api.serializers.instance import InstanceSerializer
from conversations.models import Contact, Conversation, Instance, Message, Participant
from conversations.models.instance import MAX_LABELS
from conversations.models.participant import MAX_SHOWN


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
        help_text=f"The first {MAX_LABELS} ids of the labels attached to the conversation, sorted. Their names are in "
        "the instance's `labels`."
    )
    label_count = serializers.SerializerMethodField(help_text="Number of all labels attached to the conversation.")

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
            "label_count",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    def get_labels(self, row: Conversation) -> list[str]:
        """Return the first of the sorted ids of the labels that are attached and were not deleted."""
        return nsmallest(MAX_LABELS, self._attached_labels(row))

    def get_label_count(self, row: Conversation) -> int:
        """Return the number of labels that are attached and were not deleted."""
        return len(self._attached_labels(row))

    def _attached_labels(self, row: Conversation) -> set[str]:
        attached = row.attached_labels
        return attached - self._deleted_labels().get(row.instance_id, set()) if attached else attached

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
    """One conversation of one instance; a conversation with a group also has the first participants."""

    participants = serializers.SerializerMethodField(
        help_text=f"The first {MAX_SHOWN}; `participants/` has all. Empty unless the conversation is a group."
    )
    participant_count = serializers.SerializerMethodField(help_text="Number of all participants.")

    class Meta(ConversationSerializer.Meta):
        fields = (*ConversationSerializer.Meta.fields, "participants", "participant_count")
        read_only_fields = fields

    @extend_schema_field(ParticipantSerializer(many=True))
    def get_participants(self, row: Conversation) -> list[dict[str, Any]]:
        """Return the first of the current participants of the group, ordered by name."""
        return list(ParticipantSerializer(Participant.objects.shown(row), many=True).data)

    def get_participant_count(self, row: Conversation) -> int:
        """Return the number of current participants of the group."""
        return Participant.objects.count_present(row)
