"""The JSON of instances."""

from heapq import nsmallest
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from conversations.api.permissions import access_of
from conversations.api.serializers.base import RowSerializer
from conversations.models import Instance, Scope
from conversations.models.instance import MAX_LABELS


class LabelSerializer(serializers.Serializer[Any]):
    """A label that can be attached to the instance's conversations."""

    id = serializers.CharField()
    name = serializers.CharField()
    color = serializers.IntegerField(allow_null=True, help_text="WhatsApp's number of the colour.")


class InstanceSerializer(RowSerializer[Instance]):
    """One instance, that is, one WhatsApp number on an Evolution server."""

    state = serializers.ChoiceField(Instance.State.choices, source="current_state")
    labels = serializers.SerializerMethodField(help_text=f"The first {MAX_LABELS} labels, ordered by id.")
    label_count = serializers.SerializerMethodField(help_text="Number of all labels.")

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
            "label_count",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    @extend_schema_field(LabelSerializer(many=True))
    def get_labels(self, row: Instance) -> list[dict[str, Any]]:
        """Return the first labels of the instance that are not deleted, ordered by id."""
        labels = [(label_id, row.labels[label_id]) for label_id in nsmallest(MAX_LABELS, row.usable_labels)]
        return [
            {"id": label_id, "name": label.get("name", ""), "color": label.get("color")} for label_id, label in labels
        ]

    def get_label_count(self, row: Instance) -> int:
        """Return the number of labels that are not deleted."""
        return len(row.usable_labels)


class InstanceDetailSerializer(InstanceSerializer):
    """One instance (WhatsApp number), with the QR code for pairing the instance with a phone."""

    qr_code = serializers.SerializerMethodField(
        help_text="Data URL of the latest pairing image; empty unless the request may manage the instance."
    )

    class Meta(InstanceSerializer.Meta):
        fields = (*InstanceSerializer.Meta.fields, "qr_code")
        read_only_fields = fields

    def get_qr_code(self, row: Instance) -> str:
        """Return the pairing image if the request may manage the instance: whoever scans it links a phone of his own.

        The role is read only if there is an image; otherwise one cached answer serves all roles.
        """
        is_shown = bool(row.qr_code) and access_of(self.context["request"]).allows(row.pk, Scope.MANAGE)
        return row.qr_code if is_shown else ""
