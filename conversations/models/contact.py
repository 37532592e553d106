"""A contact: one person or business that an instance knows, under all the addresses WhatsApp gives them."""

from django.db import models

from conversations.db.deletion import DB_CASCADE
from conversations.managers.contact import ContactManager
from conversations.models.base import TimestampedModel
from conversations.models.instance import Instance


class Contact(TimestampedModel):
    """One person. `phone` and `lid` are the best of their addresses; `jid` is the one to write to."""

    class Presence(models.TextChoices):
        """What the person was last seen doing."""

        UNKNOWN = "", "unknown"
        AVAILABLE = "available"
        UNAVAILABLE = "unavailable"
        COMPOSING = "composing"
        RECORDING = "recording"
        PAUSED = "paused"

    instance = models.ForeignKey(Instance, DB_CASCADE, related_name="contacts", db_index=False)
    jid = models.CharField(max_length=128)
    phone = models.CharField(max_length=32, blank=True, default="", help_text="digits with the country code")
    lid = models.CharField(max_length=64, blank=True, default="", help_text="digits of the LID")
    name = models.CharField(max_length=255, blank=True, default="")
    picture_url = models.TextField(blank=True, default="")
    presence = models.CharField(max_length=16, choices=Presence, blank=True, default=Presence.UNKNOWN)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    objects: ContactManager = ContactManager()
    str_fields = ("pk", "name")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "jid"], name="contact_jid")]
        indexes = [
            models.Index(fields=["instance", "name", "id"], name="contact_by_name"),
            models.Index(fields=["name", "id"], name="contact_all_by_name"),
        ]


class ContactAddress(models.Model):
    """One address of a contact, by its key (`evolution/jid.py`): two keys with one contact are one person."""

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=128)
    jid = models.CharField(max_length=128, help_text="the address as WhatsApp wrote it")
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="addresses")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "key"], name="contact_address")]

    def __str__(self) -> str:
        return f"address of contact {self.contact_id}"
