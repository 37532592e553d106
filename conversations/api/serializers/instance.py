"""The JSON of instances."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from conversations.api.serializers.base import RowSerializer
from conversations.models import Instance


class LabelSerializer(serializers.Serializer[Any]):
    """A label that can be attached to the instance's conversations."""

    id = serializers.CharField()
    name = serializers.CharField()
    color = serializers.IntegerField(allow_null=True, help_text="WhatsApp's number of the colour.")


class InstanceSerializer(RowSerializer[Instance]):
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
