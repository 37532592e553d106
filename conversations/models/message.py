"""The model of a chat message, with the status, edits, reactions and poll votes that later events report."""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from heapq import nsmallest
from typing import Any

from django.db import connections, models, transaction
from django.db.models import Q, QuerySet

from cachelayer import Page
from conversations.db.deletion import DB_CASCADE
from conversations.db.parts import Parts
from conversations.db.raw import run
from conversations.evolution.status import FAILED
from conversations.models.base import PAGE_SIZE, TimestampedModel, pk_of
from conversations.models.contact import Contact
from conversations.models.conversation import Conversation
from conversations.models.instance import Instance
from conversations.models.instance_scoped import Instances, InstanceScopedManager, instance_pks
from conversations.models.message_filters import MessageFilters

LATEST_FIRST = ("-timestamp", "-sent_order", "-key_id", "-id")
OLDEST_FIRST = ("timestamp", "sent_order", "key_id", "id")
MAX_SHOWN = 100  # reactions of a message, options of a poll, and voters of an option that are shown
HAS_STATEMENTS = ~Q(reactions={}) | ~Q(poll_results={})
# Returns each author of a reaction or a vote, of the messages that an inner query returns.
_STATEMENTS = {
    "postgresql": """SELECT author, row.id
        FROM ({}) AS row CROSS JOIN jsonb_object_keys(row.reactions || row.poll_results) AS author
        WHERE author = ANY(%s)""",
    "sqlite": """SELECT author.key, row.id
        FROM ({}) AS row CROSS JOIN json_each(json_patch(row.reactions, row.poll_results)) AS author
        WHERE author.key IN (SELECT value FROM json_each(%s))""",
}


class MessageManager(InstanceScopedManager["Message"]):
    """Lists and writes chat messages. Lists are ordered by WhatsApp's timestamp, never by time of arrival."""

    def for_conversation(
        self, conversation: Conversation | int, *, cursor: str = "", limit: int = PAGE_SIZE, fresh: bool = False
    ) -> Page["Message"]:
        """Return a page of a conversation's messages, latest first; `fresh` skips the local cache, as in `fetch`."""
        pk = pk_of(conversation)
        return self.fetch_page(
            f"messages:{pk}",
            lambda: self.filter(conversation=pk),
            LATEST_FIRST,
            cursor=cursor,
            limit=limit,
            fresh=fresh,
        )

    def for_instance(
        self, instances: Instances, *, cursor: str = "", limit: int = PAGE_SIZE, fresh: bool = False, **filters: Any
    ) -> Page["Message"]:
        """Return a page of the messages of some instances, latest first.

        Args:
            instances: one instance, the primary keys of several, or None for all instances.
            cursor: a cursor from another page of the same list; "" for the first page.
            limit: maximum number of rows on the page.
            fresh: skip the local cache, as `fetch` does.
            filters: the fields of `MessageFilters`.
        """
        chosen = MessageFilters(**filters)
        return self.fetch_page(
            self.list_tag(instances),
            lambda: self._chosen(instances, chosen),
            LATEST_FIRST,
            cursor=cursor,
            limit=limit,
            fresh=fresh,
            instances=instance_pks(instances),
            **asdict(chosen),
        )

    def _chosen(self, instances: Instances, filters: MessageFilters) -> QuerySet["Message"] | Parts["Message"]:
        """Return the rows of a list; it has one part per conversation or sender if there is a filter by either."""
        rows, condition = self.scoped_to(instances), filters.condition()
        if filters.conversation:
            senders = Q() if filters.sender is None else Q(sender__in=filters.sender)
            return Parts(rows.filter(condition, senders), "conversation", filters.conversation)
        if filters.sender:
            return Parts(rows.filter(condition), "sender", filters.sender)
        if filters.key_id and instances is None:
            # The index of key ids begins with the instance.
            condition &= Q(instance__in=Instance.objects.values("pk"))
        return self.rows_of(instances, condition, is_small=filters.is_small)

    def statements_of(self, instance: Instance, authors: Collection[str]) -> list[tuple[str, int]]:
        """Return each author who reacted to or voted in a message, with the message's primary key, in any order.

        All messages with reactions or votes are read once, however many authors there are; see `Message.reactions`.
        """
        rows = self.filter(HAS_STATEMENTS, instance=instance).values("id", "reactions", "poll_results")
        vendor, names = connections[rows.db].vendor, list(authors)
        return run(_STATEMENTS[vendor], rows, names if vendor == "postgresql" else json.dumps(names))

    def upsert(
        self, conversation: Conversation, key_id: str, *, from_me: bool, **fields: Any
    ) -> tuple["Message", bool]:
        """Create the message with this key id and direction, or update the fields of the existing message.

        Returns:
            The message, and whether it was created.
        """
        with self._recounting(conversation):
            return self.update_or_create(
                instance_id=conversation.instance_id,
                conversation=conversation,
                key_id=key_id,
                from_me=from_me,
                defaults=fields,
            )

    def delete(self, pk: int) -> bool:
        """Delete a message's row; return whether the row existed. WhatsApp's "delete for everyone" keeps the row."""
        row = self.select_related("conversation").filter(pk=pk).first()
        if row is None:
            return False
        with self._recounting(row.conversation):
            return bool(self.filter(pk=pk).delete()[0])

    @contextmanager
    def _recounting(self, conversation: Conversation) -> Iterator[None]:
        """Hold the instance lock during the block, and compute the conversation's summary again at the end."""
        with transaction.atomic():
            Instance.objects.lock(conversation.instance_id)
            yield
            Conversation.objects.recount(conversation.pk)


class Message(TimestampedModel):
    """One chat message, identified by `instance`, `conversation`, `key_id` and `from_me` together.

    `key_id` alone does not identify a message, because each sender chooses the key ids of the messages they send.
    """

    class Kind(models.TextChoices):
        """The kind of content of a chat message."""

        TEXT = "text"
        IMAGE = "image"
        VIDEO = "video"
        VIDEO_NOTE = "video_note"
        AUDIO = "audio"
        DOCUMENT = "document"
        STICKER = "sticker"
        STICKER_PACK = "sticker_pack"
        LOCATION = "location"
        LIVE_LOCATION = "live_location"
        CONTACT = "contact"
        CONTACTS = "contacts"
        POLL = "poll"
        POLL_RESULT = "poll_result"
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
        PAYMENT = "payment"
        EVENT = "event"
        GROUP_INVITE = "group_invite"
        CHANNEL_INVITE = "channel_invite"
        CALL = "call"
        NOTICE = "notice"
        SUPPLEMENT = "supplement"
        UNKNOWN = "unknown"

    class Status(models.IntegerChoices):
        """The delivery status of a message. The status only ever increases, so the order of events does not matter.

        FAILED is between SENT and DELIVERED, because an error can only follow PENDING or SENT, and a receipt from the
        recipient proves that the message did not fail.
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
        db_index=False,
        help_text="null for outbound messages",
    )
    sender_name = models.CharField(max_length=255, blank=True, default="", help_text="the sender's name at that time")
    timestamp = models.DateTimeField(help_text="WhatsApp's time, not the time of arrival")
    sent_order = models.BigIntegerField(
        default=0,
        editable=False,
        help_text="orders the messages of one second: the least `date_time` of the message's live copies in ms",
    )
    status = models.SmallIntegerField(choices=Status, default=Status.PENDING)
    source = models.CharField(max_length=16, blank=True, default="", help_text="ios, android, web, desktop")

    kind = models.CharField(max_length=24, choices=Kind)
    text = models.TextField(blank=True, default="", help_text="text or caption after the latest edit")
    media = models.JSONField(default=dict, blank=True, help_text="mimetype, size (bytes), seconds, width, …")
    details = models.JSONField(default=dict, blank=True, help_text="the content that is neither text nor media")
    quoted_key_id = models.CharField(max_length=255, blank=True, default="")
    quoted_sender = models.CharField(max_length=128, blank=True, default="")
    quoted_text = models.TextField(blank=True, default="")

    original_text = models.TextField(
        blank=True, default="", help_text="text before the first edit; empty if never edited"
    )
    edited_at = models.DateTimeField(null=True, blank=True)
    edited_at_is_estimated = models.BooleanField(
        default=False, editable=False, help_text="`edited_at` comes from the clock of the Evolution host"
    )
    is_deleted = models.BooleanField(default=False)
    reactions = models.JSONField(
        default=dict, blank=True, help_text="contact id or `me` → {emoji, who, at (ms)}; an empty emoji means removed"
    )
    poll_results = models.JSONField(default=dict, blank=True, help_text="contact id or `me` → {options, who, at (ms)}")

    is_history = models.BooleanField(default=False, help_text="known from a history import alone")
    from_device = models.BooleanField(
        default=False, help_text="outbound, and written on a phone or another client, where the chat was read"
    )
    precedence = models.CharField(
        max_length=64, editable=False, default="", help_text="which of several copies the row contains"
    )

    objects: MessageManager = MessageManager()
    str_fields = ("pk", "kind")

    class Meta:
        constraints = [
            # `key_id` is second in the unique index, because many updates identify their message by `key_id` only.
            models.UniqueConstraint(fields=["instance", "key_id", "conversation", "from_me"], name="message_identity")
        ]
        indexes = [
            models.Index(fields=["conversation", "timestamp", "sent_order", "key_id", "id"], name="message_thread"),
            models.Index(fields=["instance", "timestamp", "sent_order", "key_id", "id"], name="message_timeline"),
            models.Index(fields=["timestamp", "sent_order", "key_id", "id"], name="message_all_timeline"),
            *(
                models.Index(fields=[*scope, "timestamp", "sent_order", "key_id", "id"], condition=condition, name=name)
                for name, scope, condition in (
                    ("message_kind", ["instance", "kind"], ~Q(kind="text")),
                    ("message_all_kind", ["kind"], ~Q(kind="text")),
                    ("message_sender", ["sender"], Q(sender__isnull=False)),
                    # On PostgreSQL, the condition is the column `is_failed` instead; see `message_filters.has_status`.
                    ("message_failed", ["instance"], Q(status=FAILED)),
                    ("message_all_failed", [], Q(status=FAILED)),
                )
            ),
            # Finds the reactions and votes of a contact that is merged with another.
            models.Index(fields=["instance"], name="message_with_statements", condition=HAS_STATEMENTS),
        ]

    @property
    def current_reactions(self) -> dict[str, dict[str, Any]]:
        """The reactions that were not removed, by author."""
        known = ((author, value) for author, value in self.reactions.items() if isinstance(value, dict))
        return {author: value for author, value in known if isinstance(value.get("emoji"), str) and value["emoji"]}

    @property
    def first_reactions(self) -> list[tuple[str, dict[str, Any]]]:
        """The author and the value of the oldest `MAX_SHOWN` reactions that were not removed, oldest first."""
        return nsmallest(MAX_SHOWN, self.current_reactions.items(), key=_reaction_order)

    @property
    def poll_count(self) -> list[dict[str, Any]]:
        """The first `MAX_SHOWN` options of a poll, each with its first voters: `{name, voters, voter_count}`.

        The options in the poll message come first, in its order, and then other options that were voted for, by name.
        """
        voters: dict[str, list[str]] = {name: [] for name in self._own_options}
        for vote in self.poll_results.values():
            for name in vote["options"]:
                voters.setdefault(name, []).append(vote["who"])
        own = self._own_options[:MAX_SHOWN]
        names = [*own, *nsmallest(MAX_SHOWN - len(own), voters.keys() - set(self._own_options))]
        return [
            {"name": name, "voters": nsmallest(MAX_SHOWN, voters[name]), "voter_count": len(voters[name])}
            for name in names
        ]

    @property
    def poll_option_count(self) -> int:
        """The number of the options in the poll message and of others that were voted for."""
        return len({*self._own_options, *(name for vote in self.poll_results.values() for name in vote["options"])})

    @property
    def _own_options(self) -> list[str]:
        """The names of the options in the poll message, without duplicates."""
        options = self.details.get("options")
        options = options if isinstance(options, list) else []
        names = [option.get("option_name") for option in options if isinstance(option, dict)]
        return list(dict.fromkeys(name for name in names if isinstance(name, str)))


def _reaction_order(item: tuple[str, dict[str, Any]]) -> tuple[int, str, str]:
    author, reaction = item
    return reaction["at"], reaction.get("who", ""), author
