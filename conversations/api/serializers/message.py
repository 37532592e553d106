"""The JSON of messages."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from conversations.api.message_details import DetailsField
from conversations.api.message_media import MediaSerializer, shown_media
from conversations.api.serializers.base import NestedFieldsSerializer, RowSerializer
from conversations.api.serializers.contact import ContactSerializer
from conversations.api.serializers.conversation import ConversationSerializer
from conversations.api.serializers.instance import InstanceSerializer
from conversations.evolution import coerce
from conversations.models import Contact, Conversation, Instance, Message
from conversations.models.message import MAX_SHOWN

STATUSES = {status.value: status.name.lower() for status in Message.Status}


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
    contact_id = serializers.IntegerField(allow_null=True, help_text="Id of the contact; null for the instance itself.")
    emoji = serializers.CharField()
    at = serializers.DateTimeField()


class PollOptionSerializer(serializers.Serializer[Any]):
    """One option of a poll and its voters."""

    name = serializers.CharField()
    voters = serializers.ListField(
        child=serializers.CharField(), help_text=f"Addresses of the first {MAX_SHOWN} voters, sorted."
    )
    voter_count = serializers.IntegerField(help_text="Number of all voters.")


class PollResultsSerializer(serializers.Serializer[Any]):
    """The results of a poll and the time of the latest vote."""

    at = serializers.DateTimeField()
    options = PollOptionSerializer(many=True, help_text=f"The first {MAX_SHOWN} options, in the order of the poll.")
    option_count = serializers.IntegerField(help_text="Number of all options.")


class MessageSerializer(RowSerializer[Message]):
    """One message of a conversation."""

    expansions: ClassVar = {
        "instance": Instance.objects,
        "conversation": Conversation.objects,
        "sender": Contact.objects,
    }

    instance = InstanceSerializer(  # type: ignore[assignment]  # DRF removes fields from the class
        required=False, help_text="Only with `expand=instance`."
    )
    conversation = ConversationSerializer(required=False, help_text="Only with `expand=conversation`.")
    sender = ContactSerializer(required=False, allow_null=True, help_text="Only with `expand=sender`.")
    status = serializers.SerializerMethodField()
    media = serializers.SerializerMethodField(help_text="null if the message has no media.")
    details = DetailsField(help_text="Data specific to the message's kind, other than text and media.")
    quoted = QuotedSerializer()
    reactions = serializers.SerializerMethodField(help_text=f"The oldest {MAX_SHOWN} reactions, oldest first.")
    reaction_count = serializers.SerializerMethodField(help_text="Number of all reactions.")
    poll_results = serializers.SerializerMethodField()

    class Meta:
        model = Message
        fields: tuple[str, ...] = (
            "id",
            "instance_id",
            "instance",
            "conversation_id",
            "conversation",
            "key_id",
            "from_me",
            "sender_id",
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
            "reaction_count",
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
        """Return the first reactions to the message that were not removed, oldest first."""
        rows = [
            {
                **reaction,
                "contact_id": int(author) if author.isdecimal() else None,
                "at": coerce.from_ms(reaction["at"]),
            }
            for author, reaction in row.first_reactions
        ]
        # Most messages have no reaction, and a serializer takes longer to make than the rest of a row.
        return list(ReactionSerializer(rows, many=True).data) if rows else []

    def get_reaction_count(self, row: Message) -> int:
        """Return the number of reactions that were not removed."""
        return len(row.current_reactions)

    @extend_schema_field(PollResultsSerializer(allow_null=True))
    def get_poll_results(self, row: Message) -> dict[str, Any] | None:
        """Return the current results of the poll; null before the first vote."""
        if not row.poll_results:
            return None
        at = max(vote["at"] for vote in row.poll_results.values())
        count = {"options": row.poll_count, "option_count": row.poll_option_count}
        return PollResultsSerializer({"at": coerce.from_ms(at), **count}).data
