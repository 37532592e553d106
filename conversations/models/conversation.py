"""A conversation: one chat of one instance, with a person, a group or a list."""

from django.db import models
from django.db.models import Q

from cachelayer import CachedModel
from conversations.db.deletion import DB_CASCADE
from conversations.evolution.coerce import EPOCH
from conversations.managers.conversation import ConversationManager
from conversations.managers.participant import ParticipantManager
from conversations.models.base import TimestampedModel
from conversations.models.contact import Contact
from conversations.models.instance import Instance


class Conversation(TimestampedModel):
    """One chat. A direct one is its contact's, whichever address a message came under; others are known by their JID.

    `last_message*` describe the greatest message by (timestamp, key id); `last_message_at` is the epoch while there
    is none, so that lists can be ordered without nulls. `unread_count` counts inbound messages after `read_until`.
    """

    class Kind(models.TextChoices):
        """What is at the other end."""

        DIRECT = "direct"
        GROUP = "group"
        BROADCAST = "broadcast"
        STATUS = "status"
        NEWSLETTER = "newsletter"
        OTHER = "other"

    instance = models.ForeignKey(Instance, DB_CASCADE, related_name="conversations", db_index=False)
    kind = models.CharField(max_length=16, choices=Kind)
    jid = models.CharField(max_length=128)
    contact = models.OneToOneField(Contact, models.RESTRICT, null=True, blank=True, related_name="conversation")
    name = models.CharField(max_length=255, blank=True, default="")
    labels = models.JSONField(default=dict, blank=True, help_text="label id → present or not")

    last_message = models.ForeignKey("conversations.Message", models.SET_NULL, null=True, blank=True, related_name="+")
    last_message_at = models.DateTimeField(default=EPOCH)
    last_message_text = models.CharField(max_length=255, blank=True, default="")
    last_message_kind = models.CharField(max_length=24, blank=True, default="")
    last_message_from_me = models.BooleanField(default=False)

    unread_count = models.PositiveIntegerField(default=0)
    read_until = models.DateTimeField(default=EPOCH, help_text="inbound messages up to here are read")
    marked_read_until = models.DateTimeField(default=EPOCH, help_text="the part of read_until said here")
    is_archived = models.BooleanField(default=False)
    is_pinned = models.BooleanField(default=False)
    muted_until = models.DateTimeField(null=True, blank=True)
    is_deleted = models.BooleanField(default=False, help_text="deleted on the phone, and quiet since")
    participants_as_of = models.CharField(max_length=32, blank=True, default="", editable=False)

    last_key_id: str  # the last message's, where a query asks for it

    objects: ConversationManager = ConversationManager()
    str_fields = ("pk", "kind", "name")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instance", "jid"], name="conversation_jid"),
            models.CheckConstraint(
                condition=Q(kind="direct", contact__isnull=False) | (~Q(kind="direct") & Q(contact__isnull=True)),
                name="conversation_direct_has_contact",
            ),
        ]
        indexes = [
            models.Index(fields=["instance", "last_message_at", "id"], name="conversation_latest"),
            models.Index(fields=["last_message_at", "id"], name="conversation_all_latest"),
            models.Index(fields=["instance", "updated_at", "id"], name="conversation_updated"),
            models.Index(fields=["instance", "is_pinned", "last_message_at", "id"], name="conversation_pinned"),
            models.Index(fields=["instance", "is_archived", "last_message_at", "id"], name="conversation_archived"),
            models.Index(fields=["updated_at", "id"], name="conversation_all_updated"),
            models.Index(
                fields=["instance", "last_message_at", "id"],
                condition=Q(unread_count__gt=0),
                name="conversation_unread",
            ),
            models.Index(
                fields=["last_message_at", "id"], condition=Q(unread_count__gt=0), name="conversation_all_unread"
            ),
        ]


class Participant(CachedModel):
    """A member of a group, as of a clock; one whose clock is before the group's last full list has left."""

    class Role(models.TextChoices):
        """What the member may do in the group."""

        MEMBER = "member"
        ADMIN = "admin"
        SUPERADMIN = "superadmin"

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="participants", db_index=False)
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.MEMBER)
    is_present = models.BooleanField(default=True)
    clock = models.CharField(max_length=32, editable=False)

    objects: ParticipantManager = ParticipantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "contact"], name="participant")]

    def __str__(self) -> str:
        return f"contact {self.contact_id} in conversation {self.conversation_id}"
