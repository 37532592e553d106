"""A message: one bubble of a conversation, with everything later events say about it."""

from typing import Any

from django.db import models

from conversations.db.deletion import DB_CASCADE
from conversations.managers.message import MessageManager
from conversations.models.base import TimestampedModel
from conversations.models.contact import Contact
from conversations.models.conversation import Conversation
from conversations.models.instance import Instance


class Message(TimestampedModel):
    """One bubble. It is named by (instance, conversation, key id, from me): key ids alone are chosen by the sender."""

    class Kind(models.TextChoices):
        """What is in the bubble."""

        TEXT = "text"
        IMAGE = "image"
        VIDEO = "video"
        VIDEO_NOTE = "video_note"
        AUDIO = "audio"
        DOCUMENT = "document"
        STICKER = "sticker"
        LOCATION = "location"
        LIVE_LOCATION = "live_location"
        CONTACT = "contact"
        CONTACTS = "contacts"
        POLL = "poll"
        BUTTON_REPLY = "button_reply"
        LIST_REPLY = "list_reply"
        TEMPLATE_REPLY = "template_reply"
        INTERACTIVE_REPLY = "interactive_reply"
        LIST = "list"
        BUTTONS = "buttons"
        TEMPLATE = "template"
        INTERACTIVE = "interactive"
        PRODUCT = "product"
        ORDER = "order"
        EVENT = "event"
        GROUP_INVITE = "group_invite"
        CALL = "call"
        UNKNOWN = "unknown"

    class Status(models.IntegerChoices):
        """How far delivery has come; a status only rises.

        FAILED stands between SENT and DELIVERED: an error can follow PENDING or SENT only, and only a receipt of
        the recipient's proves it wrong. That makes "rise" one order, whichever way events arrive.
        """

        PENDING = 0
        SENT = 1
        FAILED = 2
        DELIVERED = 3
        READ = 4
        PLAYED = 5

    instance = models.ForeignKey(Instance, DB_CASCADE, related_name="messages", db_index=False)
    conversation = models.ForeignKey(Conversation, DB_CASCADE, related_name="messages", db_index=False)
    key_id = models.CharField(max_length=255)
    from_me = models.BooleanField()
    sender = models.ForeignKey(
        Contact,
        models.RESTRICT,
        null=True,
        blank=True,
        related_name="messages",
        help_text="null when from me",
    )
    sender_name = models.CharField(max_length=255, blank=True, default="", help_text="as it was then")
    timestamp = models.DateTimeField(help_text="WhatsApp's, not the arrival")
    status = models.SmallIntegerField(choices=Status, default=Status.PENDING)
    source = models.CharField(max_length=16, blank=True, default="", help_text="ios, android, web, desktop")

    kind = models.CharField(max_length=24, choices=Kind)
    text = models.TextField(blank=True, default="", help_text="text or caption, as last edited")
    media = models.JSONField(default=dict, blank=True, help_text="mimetype, size (bytes), seconds, width, …")
    details = models.JSONField(default=dict, blank=True, help_text="what the kind has beside text and media")
    quoted_key_id = models.CharField(max_length=255, blank=True, default="")
    quoted_sender = models.CharField(max_length=128, blank=True, default="")
    quoted_text = models.TextField(blank=True, default="")

    original_text = models.TextField(blank=True, default="", help_text="before the edits; empty if never edited")
    edited_at = models.DateTimeField(null=True, blank=True)
    is_deleted = models.BooleanField(default=False)
    reactions = models.JSONField(default=dict, blank=True, help_text="whose → {emoji, who, at (ms)}; no emoji: removed")
    poll_results = models.JSONField(default=dict, blank=True, help_text="whose vote → {options, who, at (ms)}")

    is_history = models.BooleanField(default=False, help_text="came in a history import, too or only")
    from_device = models.BooleanField(
        default=False, help_text="ours, and written on a phone or another client: there the chat was read"
    )
    precedence = models.CharField(
        max_length=64, editable=False, default="", help_text="which of several copies the row shows"
    )

    objects: MessageManager = MessageManager()
    str_fields = ("pk", "kind")

    class Meta:
        constraints = [
            # The key id second: what is said of a message often names nothing else.
            models.UniqueConstraint(fields=["instance", "key_id", "conversation", "from_me"], name="message_identity")
        ]
        indexes = [
            models.Index(fields=["conversation", "timestamp", "key_id", "id"], name="message_thread"),
            models.Index(fields=["instance", "timestamp", "key_id", "id"], name="message_timeline"),
            models.Index(fields=["timestamp", "key_id", "id"], name="message_all_timeline"),
        ]

    @property
    def poll_count(self) -> list[dict[str, Any]]:
        """A poll's options as they stand in the question, each with who has chosen it: `{name, voters}`."""
        asked = self.details.get("options")
        options = asked if isinstance(asked, list) else []
        names = [option.get("optionName") for option in options if isinstance(option, dict)]
        voters: dict[str, list[str]] = {name: [] for name in names if isinstance(name, str)}
        for vote in self.poll_results.values():
            for name in vote["options"]:
                voters.setdefault(name, []).append(vote["who"])
        return [{"name": name, "voters": sorted(who)} for name, who in voters.items()]
