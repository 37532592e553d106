"""The JSON of contacts."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from conversations.api.serializers.base import RowSerializer
from conversations.api.serializers.instance import InstanceSerializer
from conversations.models import Contact, Instance


class ContactSerializer(RowSerializer[Contact]):
    """One person or business that an instance knows."""

    expansions: ClassVar = {"instance": Instance.objects}

    presence = serializers.SerializerMethodField()
    instance = InstanceSerializer(  # type: ignore[assignment]  # DRF removes fields from the class
        required=False, help_text="Only with `expand=instance`."
    )

    class Meta:
        model = Contact
        fields = (
            "id",
            "instance_id",
            "instance",
            "jid",
            "phone",
            "lid",
            "name",
            "custom_name",
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
