"""An instance: one WhatsApp number that an Evolution server connects."""

from django.db import models

from conversations.managers.instance import InstanceManager, name_digest
from conversations.models.base import TimestampedModel


class Instance(TimestampedModel):
    """One WhatsApp number. Its name is unique within one Evolution server only, so the server is part of its key."""

    class State(models.TextChoices):
        """The connection's state, in Evolution's words."""

        UNKNOWN = "unknown"
        CLOSED = "close", "closed"
        REFUSED = "refused"
        CONNECTING = "connecting"
        OPEN = "open"

    name = models.CharField(max_length=255)
    server_url = models.CharField(max_length=255, blank=True, default="", help_text="Evolution's SERVER_URL")
    evolution_id = models.CharField(max_length=64, blank=True, default="", help_text="Evolution's instanceId")

    state = models.CharField(max_length=16, choices=State, default=State.UNKNOWN)
    state_reason = models.IntegerField(null=True, blank=True, help_text="Evolution's statusReason")
    is_removed = models.BooleanField(default=False, help_text="deleted on the Evolution server")
    owner_jid = models.CharField(max_length=128, blank=True, default="")
    profile_name = models.CharField(max_length=255, blank=True, default="")
    picture_url = models.TextField(blank=True, default="")
    qr_code = models.TextField(blank=True, default="", help_text="data URL of the latest pairing image")
    labels = models.JSONField(default=dict, blank=True, help_text="label id → {name, color, deleted}")

    token_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    previous_token_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    previous_token_until = models.DateTimeField(null=True, blank=True, editable=False)
    is_global_webhook = models.BooleanField(
        default=False, help_text="its webhook token is good for every instance of its server (global webhook)"
    )

    objects: InstanceManager = InstanceManager()
    str_fields = ("name", "server_url")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server_url", "name"], name="instance_name")]
        indexes = [models.Index(fields=["name", "id"], name="instance_by_name")]

    @property
    def name_digest(self) -> str:
        """What stands for the name in a tag."""
        return name_digest(self.name)
