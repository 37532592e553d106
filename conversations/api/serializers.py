"""Serializers that convert database rows to JSON.

Each serializer lists its fields, so that a new column does not appear in the API by itself. In the JSON, an unknown
text is "", and any other unknown value is null.
"""

from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from conversations.api.message_media import MediaSerializer, shown_media
from conversations.evolution import coerce
from conversations.models import Contact, Conversation, Instance, Message, Participant

STATUSES = {status.value: status.name.lower() for status in Message.Status}


class NestedFieldsSerializer(serializers.Serializer[Any]):
    """A nested JSON object made of fields of the parent's row.

    Subclasses set `null_when_empty` to the name of a field; if this field is empty, the nested object is null.
    """

    null_when_empty: ClassVar[str]

    def __init__(self, **options: Any) -> None:
        super().__init__(source="*", allow_null=True, read_only=True, **options)

    def to_representation(self, instance: Any) -> dict[str, Any] | None:  # type: ignore[override]  # may return None
        """Return the nested JSON object or None."""
        return super().to_representation(instance) if getattr(instance, self.null_when_empty) else None


# --- instances --------------------------------------------------------------------------------------------------------
class LabelSerializer(serializers.Serializer[Any]):
    """A label that can be attached to the instance's conversations."""

    id = serializers.CharField()
    name = serializers.CharField()
    color = serializers.IntegerField(allow_null=True, help_text="WhatsApp's number of the colour.")


class InstanceSerializer(serializers.ModelSerializer[Instance]):
    """One instance, that is, one WhatsApp number on an Evolution server."""

    state = serializers.ChoiceField(Instance.State.choices, source="current_state")
    labels = serializers.SerializerMethodField()

    class Meta:
        model = Instance
        fields: tuple[str, ...] = (
            "id",
            "name",
            "server_url",
            "state",
            "state_reason",
            "is_removed",
            "owner_jid",
            "profile_name",
            "picture_url",
            "labels",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    @extend_schema_field(LabelSerializer(many=True))
    def get_labels(self, row: Instance) -> list[dict[str, Any]]:
        """Return the labels of the instance that are not deleted, ordered by id."""
        return [
            {"id": label_id, "name": label.get("name", ""), "color": label.get("color")}
            for label_id, label in sorted(row.labels.items())
            if label_id not in row.deleted_labels
        ]


class InstanceDetailSerializer(InstanceSerializer):
    """One instance (WhatsApp number), with the QR code for pairing the instance with a phone."""

    class Meta(InstanceSerializer.Meta):
        fields = (*InstanceSerializer.Meta.fields, "qr_code")
        read_only_fields = fields


# --- contacts ---------------------------------------------------------------------------------------------------------
class ContactSerializer(serializers.ModelSerializer[Contact]):
    """One person or business that an instance knows."""

    presence = serializers.SerializerMethodField()

    class Meta:
        model = Contact
        fields = (
            "id",
            "instance",
            "jid",
            "phone",
            "lid",
            "name",
            "saved_name",
            "push_name",
            "picture_url",
            "presence",
            "last_seen_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    @extend_schema_field(
        # The model stores an unknown presence as "", but the API returns an unknown presence as null.
        serializers.ChoiceField([choice for choice in Contact.Presence.choices if choice[0]], allow_null=True)
    )
    def get_presence(self, row: Contact) -> str | None:
        """Return the contact's latest known presence; null if none was received."""
        return row.presence or None


# --- conversations ----------------------------------------------------------------------------------------------------
class LastMessageSerializer(NestedFieldsSerializer):
    """A summary of the last message of a conversation."""

    null_when_empty = "last_message_id"

    id = serializers.IntegerField(source="last_message_id")
    at = serializers.DateTimeField(source="last_message_at")
    text = serializers.CharField(source="last_message_text", help_text="The beginning of the text.")
    kind = serializers.ChoiceField(Message.Kind.choices, source="last_message_kind")
    from_me = serializers.BooleanField(source="last_message_from_me")


class ConversationSerializer(serializers.ModelSerializer[Conversation]):
    """One conversation of one instance."""

    last_message = LastMessageSerializer()
    labels = serializers.SerializerMethodField(
        help_text="Ids of the labels attached to the conversation. Their names are in the instance's `labels`."
    )

    class Meta:
        model = Conversation
        fields: tuple[str, ...] = (
            "id",
            "instance",
            "kind",
            "jid",
            "contact",
            "name",
            "last_message",
            "unread_count",
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
        return sorted(set(attached) - self._deleted_labels(row.instance_id)) if attached else []

    def _deleted_labels(self, instance_id: int) -> set[str]:
        """Return the ids of an instance's deleted labels, read once for all conversations of a page."""
        known: dict[int, set[str]] = cast("dict[str, Any]", self.context).setdefault("deleted_labels", {})
        if instance_id not in known:
            instance = Instance.objects.fetch_many([instance_id]).get(instance_id)
            known[instance_id] = instance.deleted_labels if instance else set()
        return known[instance_id]


class ParticipantSerializer(serializers.ModelSerializer[Participant]):
    """A participant of a group."""

    jid = serializers.CharField(source="contact.jid")
    phone = serializers.CharField(source="contact.phone")
    name = serializers.CharField(source="contact.name")

    class Meta:
        model = Participant
        fields = ("contact", "jid", "phone", "name", "role")
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
        return list(ParticipantSerializer(Conversation.objects.participants(row), many=True).data)


# --- messages ---------------------------------------------------------------------------------------------------------
class QuotedSerializer(NestedFieldsSerializer):
    """The message that a reply quotes, as WhatsApp copied the quoted message into the reply."""

    null_when_empty = "quoted_key_id"

    key_id = serializers.CharField(source="quoted_key_id")
    sender = serializers.CharField(
        source="quoted_sender", help_text="Address of the quoted message's author; may be empty."
    )
    text = serializers.CharField(source="quoted_text")


class ReactionSerializer(serializers.Serializer[Any]):
    """One person's reaction to a message."""

    who = serializers.CharField(help_text="`me` for the instance itself, or the address of the person who reacted.")
    contact = serializers.IntegerField(allow_null=True, help_text="Id of the contact; null for the instance itself.")
    emoji = serializers.CharField()
    at = serializers.DateTimeField()


class PollOptionSerializer(serializers.Serializer[Any]):
    """One option of a poll and its voters."""

    name = serializers.CharField()
    voters = serializers.ListField(child=serializers.CharField())


class PollResultsSerializer(serializers.Serializer[Any]):
    """The results of a poll and the time of the latest vote."""

    at = serializers.DateTimeField()
    options = PollOptionSerializer(many=True)


class MessageSerializer(serializers.ModelSerializer[Message]):
    """One message of a conversation."""

    status = serializers.SerializerMethodField()
    media = serializers.SerializerMethodField(help_text="null if the message has no media.")
    details = serializers.DictField(help_text="Data specific to the message's kind, other than text and media.")
    quoted = QuotedSerializer()
    reactions = serializers.SerializerMethodField()
    poll_results = serializers.SerializerMethodField()

    class Meta:
        model = Message
        fields = (
            "id",
            "instance",
            "conversation",
            "key_id",
            "from_me",
            "sender",
            "sender_name",
            "timestamp",
            "status",
            "kind",
            "text",
            "media",
            "details",
            "quoted",
            "edited_at",
            "original_text",
            "is_deleted",
            "reactions",
            "poll_results",
            "source",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(list(STATUSES.values())))
    def get_status(self, row: Message) -> str:
        """Return the delivery status of the message."""
        return STATUSES[row.status]

    @extend_schema_field(MediaSerializer(allow_null=True))
    def get_media(self, row: Message) -> dict[str, Any] | None:
        """Return what is known of the message's file, and the paths of file and thumbnail."""
        return shown_media(row)

    @extend_schema_field(ReactionSerializer(many=True))
    def get_reactions(self, row: Message) -> list[dict[str, Any]]:
        """Return the reactions to the message that were not removed, oldest first."""
        reactions = [
            {**reaction, "contact": int(author) if author.isdecimal() else None}
            for author, reaction in row.reactions.items()
            if reaction["emoji"]
        ]
        reactions.sort(key=lambda reaction: (reaction["at"], reaction["who"]))
        rows = [{**reaction, "at": coerce.from_ms(reaction["at"])} for reaction in reactions]
        return list(ReactionSerializer(rows, many=True).data)

    @extend_schema_field(PollResultsSerializer(allow_null=True))
    def get_poll_results(self, row: Message) -> dict[str, Any] | None:
        """Return the current results of the poll; null before the first vote."""
        if not row.poll_results:
            return None
        at = max(vote["at"] for vote in row.poll_results.values())
        return PollResultsSerializer({"at": coerce.from_ms(at), "options": row.poll_count}).data
