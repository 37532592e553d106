"""How rows look to consumers of the API. Fields are named one by one: a new column is no part of it by itself.

What is unknown is null where it has a type of its own (a moment, an object, a presence), and "" where it is a text.
"""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from conversations.evolution import coerce
from conversations.models import Contact, Conversation, Instance, Message, Participant

STATUSES = {status.value: status.name.lower() for status in Message.Status}


class NestedFieldsSerializer(serializers.Serializer[Any]):
    """An object made of some of a row's fields; null in a row whose field `without` is empty."""

    null_when_empty: ClassVar[str]

    def __init__(self, **options: Any) -> None:
        super().__init__(source="*", allow_null=True, read_only=True, **options)

    def to_representation(self, instance: Any) -> dict[str, Any] | None:  # type: ignore[override]  # or null, as it says
        """Return the object."""
        return super().to_representation(instance) if getattr(instance, self.null_when_empty) else None


# --- instances --------------------------------------------------------------------------------------------------------
class LabelSerializer(serializers.Serializer[Any]):
    """A label that an instance's conversations can have."""

    id = serializers.CharField()
    name = serializers.CharField()
    color = serializers.IntegerField(allow_null=True, help_text="WhatsApp's number of the colour.")


class InstanceSerializer(serializers.ModelSerializer[Instance]):
    """One WhatsApp number."""

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
        """Return the labels there are now, by id."""
        return [
            {"id": label_id, "name": label.get("name", ""), "color": label.get("color")}
            for label_id, label in sorted(row.labels.items())
            if not label.get("deleted")
        ]


class InstanceDetailSerializer(InstanceSerializer):
    """One WhatsApp number, with the image that pairs it with a phone."""

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
            "picture_url",
            "presence",
            "last_seen_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    @extend_schema_field(
        serializers.ChoiceField([c for c in Contact.Presence.choices if c[0]], allow_null=True)  # "" is null here
    )
    def get_presence(self, row: Contact) -> str | None:
        """Return what the person was last seen doing; null where nothing was seen."""
        return row.presence or None


# --- conversations ----------------------------------------------------------------------------------------------------
class LastMessageSerializer(NestedFieldsSerializer):
    """What a list shows of a conversation's latest message."""

    without = "last_message_id"

    id = serializers.IntegerField(source="last_message_id")
    at = serializers.DateTimeField(source="last_message_at")
    text = serializers.CharField(source="last_message_text", help_text="Its beginning.")
    kind = serializers.ChoiceField(Message.Kind.choices, source="last_message_kind")
    from_me = serializers.BooleanField(source="last_message_from_me")


class ConversationSerializer(serializers.ModelSerializer[Conversation]):
    """One chat of one instance."""

    last_message = LastMessageSerializer()
    labels = serializers.SerializerMethodField(help_text="The ids of its labels; the instance has their names.")

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
        """Return the ids of the labels it has now."""
        return sorted(label_id for label_id, is_present in row.labels.items() if is_present)


class ParticipantSerializer(serializers.ModelSerializer[Participant]):
    """A member of a group."""

    jid = serializers.CharField(source="contact.jid")
    phone = serializers.CharField(source="contact.phone")
    name = serializers.CharField(source="contact.name")

    class Meta:
        model = Participant
        fields = ("contact", "jid", "phone", "name", "role")
        read_only_fields = fields


class ConversationDetailSerializer(ConversationSerializer):
    """One chat of one instance, with the members of a group."""

    participants = serializers.SerializerMethodField(help_text="Empty for what is no group.")

    class Meta(ConversationSerializer.Meta):
        fields = (*ConversationSerializer.Meta.fields, "participants")
        read_only_fields = fields

    @extend_schema_field(ParticipantSerializer(many=True))
    def get_participants(self, row: Conversation) -> list[dict[str, Any]]:
        """Return who is in the group now."""
        return list(ParticipantSerializer(Conversation.objects.participants(row), many=True).data)


# --- messages ---------------------------------------------------------------------------------------------------------
class QuotedSerializer(NestedFieldsSerializer):
    """What a message replies to, as it carries it."""

    without = "quoted_key_id"

    key_id = serializers.CharField(source="quoted_key_id")
    sender = serializers.CharField(source="quoted_sender", help_text="The address of who wrote it; may be empty.")
    text = serializers.CharField(source="quoted_text")


class ReactionSerializer(serializers.Serializer[Any]):
    """One person's reaction to a message."""

    who = serializers.CharField(help_text="`me`, or the address of who reacted.")
    emoji = serializers.CharField()
    at = serializers.DateTimeField()


class PollOptionSerializer(serializers.Serializer[Any]):
    """One answer of a poll, and who gave it."""

    name = serializers.CharField()
    voters = serializers.ListField(child=serializers.CharField())


class PollResultsSerializer(serializers.Serializer[Any]):
    """A poll's count, and when it last changed."""

    at = serializers.DateTimeField()
    options = PollOptionSerializer(many=True)


class MessageSerializer(serializers.ModelSerializer[Message]):
    """One bubble of a conversation."""

    status = serializers.SerializerMethodField()
    media = serializers.SerializerMethodField(help_text="null for what is no media.")
    details = serializers.DictField(help_text="What the kind has beside text and media.")
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
        """Return how far delivery has come, as a word."""
        return STATUSES[row.status]

    def get_media(self, row: Message) -> dict[str, Any] | None:
        """Return mimetype, size (bytes), seconds, width, … as far as they are known."""
        return row.media or None

    @extend_schema_field(ReactionSerializer(many=True))
    def get_reactions(self, row: Message) -> list[dict[str, Any]]:
        """Return the reactions that were not taken back, in the order they came."""
        given = [said for said in row.reactions.values() if said["emoji"]]
        given.sort(key=lambda reaction: (reaction["at"], reaction["who"]))
        return list(ReactionSerializer([{**one, "at": coerce.from_ms(one["at"])} for one in given], many=True).data)

    @extend_schema_field(PollResultsSerializer(allow_null=True))
    def get_poll_results(self, row: Message) -> dict[str, Any] | None:
        """Return the latest count of a poll; null before the first vote."""
        if not row.poll_results:
            return None
        at = max(vote["at"] for vote in row.poll_results.values())
        return PollResultsSerializer({"at": coerce.from_ms(at), "options": row.poll_count}).data
