"""The model of a chat that an instance has with a person, a group or a list."""

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from django.db import models, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from cachelayer import Page, limit_ttl
from conversations.db.deletion import DB_CASCADE
from conversations.evolution import jid as jids
from conversations.models import conversation_changes, conversation_summary
from conversations.models.base import PAGE_SIZE, save_changes
from conversations.models.contact import Contact
from conversations.models.conversation_changes import ACTIONS
from conversations.models.conversation_filters import IS_UNREAD, MINUTE, ConversationFilters, this_minute
from conversations.models.instance import Instance
from conversations.models.instance_scoped import Instances, InstanceScopedManager, instance_pks
from conversations.models.state_clock import LABEL, StateClock, Subject, chat_subject, direct_subject
from conversations.models.summary_of_messages import SummaryOfMessages

LATEST_FIRST = ("-last_message_at", "-id")

# The states that few conversations have, each with an index of those conversations alone.
RARE_STATES = {
    "unread": IS_UNREAD,
    "pinned": Q(is_pinned=True),
    "archived": Q(is_archived=True),
    "muted": Q(muted_until__isnull=False),
    "deleted": Q(is_deleted=True),
    "other_kind": ~Q(kind="direct"),
}


class NoSuchMessage(ValueError):
    """A conversation does not contain the message up to which it is to be marked as read."""


class UnknownLabels(ValueError):
    """Labels are to be attached that the instance does not have; `labels` has their ids."""

    def __init__(self, labels: Collection[str]) -> None:
        super().__init__(f"the instance has no label {', '.join(sorted(labels))}")
        self.labels = labels


class ConversationManager(InstanceScopedManager["Conversation"]):
    """Lists and changes conversations. Each change locks the row first, so that no concurrent change is lost."""

    def for_instance(
        self, instances: Instances, *, cursor: str = "", limit: int = PAGE_SIZE, fresh: bool = False, **filters: Any
    ) -> Page["Conversation"]:
        """Return a page of the conversations of some instances; the conversation with the latest message comes first.

        Args:
            instances: one instance, the primary keys of several, or None for all instances.
            cursor: a cursor from another page of the same list; "" for the first page.
            limit: maximum number of rows on the page.
            fresh: skip the local cache, as `fetch` does.
            filters: the fields of `ConversationFilters`.
        """
        chosen = ConversationFilters(**filters)
        now = this_minute()
        if chosen.muted is not None:
            limit_ttl((now + MINUTE - timezone.now()).total_seconds())
        return self.fetch_page(
            self.list_tag(instances),
            lambda: self.rows_of(instances, chosen.condition(now), is_small=chosen.is_small),
            LATEST_FIRST,
            cursor=cursor,
            limit=limit,
            fresh=fresh,
            instances=instance_pks(instances),
            muted_at=None if chosen.muted is None else now,
            **asdict(chosen),
        )

    def upsert(self, instance: Instance, jid: str, **fields: Any) -> tuple["Conversation", bool]:
        """Create the conversation with the address `jid`, or update the fields of the conversation with this address.

        Returns:
            The conversation, and whether it was created.

        Raises:
            ValueError: `jid` is not a JID.
        """
        address = jids.parse(jid)
        if address is None:
            raise ValueError("not a JID")
        with transaction.atomic():
            Instance.objects.lock(instance.pk)
            if not address.is_person:
                defaults = {"kind": str(address.kind), **fields}
                return self.update_or_create(instance=instance, jid=address.jid, defaults=defaults)
            contact, _ = Contact.objects.upsert(instance, jid)
            defaults = {"kind": "direct", **contact.shared_fields, **fields}
            return self.update_or_create(instance=instance, contact=contact, defaults=fields, create_defaults=defaults)

    def change(self, pk: int, **fields: Any) -> "Conversation":
        """Change what people may change of a conversation, and return the conversation.

        Args:
            pk: the primary key.
            fields: new values of `is_archived`, `is_pinned`, `muted_until`; `custom_name`, which is shown instead of
                the name in WhatsApp, or None; `labels`, the ids of all labels that are attached from now on.

        Raises:
            UnknownLabels: the instance does not have one of the labels.
        """
        with transaction.atomic():
            instance = Instance.objects.lock_of(self.filter(pk=pk))
            row = self._lock(pk)
            if "labels" in fields:
                fields["labels"] = row.attach_labels(instance, fields["labels"])
            if "custom_name" in fields:
                fields |= row.rename(instance, fields["custom_name"])
            return save_changes(row, **fields)

    def mark_read(self, pk: int, until: int | None = None) -> "Conversation":
        """Mark a conversation as read, and return it. Later messages that are read already stay read.

        Args:
            pk: the primary key.
            until: the primary key of the message up to which it is read; None for the last one.

        Raises:
            NoSuchMessage: the conversation does not contain the message `until`.
        """
        with transaction.atomic():
            row = self._lock(pk)
            if until is None:
                return save_changes(row, **conversation_changes.read_all(row))
            message = row.messages.filter(pk=until).first()
            if message is None:
                raise NoSuchMessage
            return save_changes(row, **conversation_changes.read_until(row, conversation_summary.position(message)))

    def mark_unread(self, pk: int) -> "Conversation":
        """Let a conversation count as unread until it is marked as read, or later messages are read on the phone."""
        return self._apply(pk, "mark_unread")

    def increment_unread(self, pk: int, by: int = 1) -> "Conversation":
        """Add `by` to a conversation's unread count, for chat messages that are not stored in this database."""
        with transaction.atomic():
            row = self._lock(pk)
            row.unread_count = F("unread_count") + by
            row.save(update_fields=["unread_count", "updated_at"])
            row.refresh_from_db(fields=["unread_count"])
        return row

    def recount(self, pk: int) -> "Conversation":
        """Compute a conversation's last message, read watermark and unread count again from its messages."""
        with transaction.atomic():
            row = self._lock(pk)
            return save_changes(row, **row.summarize())

    def archive(self, pk: int) -> "Conversation":
        """Archive the conversation."""
        return self._apply(pk, "archive")

    def unarchive(self, pk: int) -> "Conversation":
        """Move the conversation out of the archive."""
        return self._apply(pk, "unarchive")

    def pin(self, pk: int) -> "Conversation":
        """Pin the conversation."""
        return self._apply(pk, "pin")

    def unpin(self, pk: int) -> "Conversation":
        """Unpin the conversation."""
        return self._apply(pk, "unpin")

    def _apply(self, pk: int, action: str) -> "Conversation":
        with transaction.atomic():
            row = self._lock(pk)
            return save_changes(row, **ACTIONS[action].change(row))

    def _lock(self, pk: int) -> "Conversation":
        return self.with_last_order(self.all()).select_for_update(of=("self",), no_key=True).get(pk=pk)

    @staticmethod
    def with_last_order(rows: QuerySet["Conversation"]) -> QuerySet["Conversation"]:
        """Return rows with the order of their last message, which `conversation_changes` needs."""
        return rows.annotate(last_sent_order=F("last_message__sent_order"))  # type: ignore[no-redef]  # it is declared


class Conversation(SummaryOfMessages):
    """One chat. A direct one is identified by its contact, whichever address a message used; others by their JID."""

    class Kind(models.TextChoices):
        """The kind of chat, which follows from the chat's JID."""

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
    name = models.CharField(max_length=255, blank=True, default="", help_text="the name to show")
    # These columns are nullable, so that they were added without rewriting the table.
    custom_name = models.CharField(  # noqa: DJ001 - see above
        max_length=255, null=True, blank=True, help_text="name given here, to the contact or to the group"
    )
    original_name = models.CharField(  # noqa: DJ001 - see above
        max_length=255, null=True, blank=True, editable=False, help_text="a group's name in WhatsApp, if not `name`"
    )
    labels = models.JSONField(default=dict, blank=True, help_text="label id → whether the chat has the label")

    is_archived = models.BooleanField(default=False)
    is_pinned = models.BooleanField(default=False)
    muted_until = models.DateTimeField(null=True, blank=True)
    is_deleted = models.BooleanField(default=False, help_text="deleted on the phone, without messages since")
    participants_as_of = models.CharField(max_length=32, blank=True, default="", editable=False)

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
            *(
                models.Index(fields=[*scope, "last_message_at", "id"], condition=condition, name=f"{prefix}_{state}")
                for prefix, scope in (("conversation", ["instance"]), ("conversation_all", []))
                for state, condition in RARE_STATES.items()
            ),
        ]

    @property
    def clock_subject(self) -> Subject:
        """The subject of the conversation's clocks."""
        name = direct_subject(self.contact_id) if self.contact_id else chat_subject(self.jid)
        return Subject(self.instance_id, name)

    @property
    def original_name_column(self) -> str:
        """The column with the name that a group has in WhatsApp."""
        return "name" if self.custom_name is None else "original_name"

    @property
    def attached_labels(self) -> set[str]:
        """The ids of the attached labels, among them deleted ones."""
        return {label_id for label_id, is_attached in self.labels.items() if is_attached}

    def attach_labels(self, instance: Instance, wanted: Collection[str]) -> dict[str, bool]:
        """Return the value of `labels` with which exactly these labels are attached; stamp the clocks of all labels.

        Raises:
            UnknownLabels: the instance does not have one of the labels.
        """
        if unknown := set(wanted) - instance.usable_labels - self.attached_labels:
            raise UnknownLabels(unknown)
        every = instance.usable_labels | self.labels.keys() | set(wanted)
        StateClock.objects.stamp({self.clock_subject: [f"{LABEL}{label_id}" for label_id in every]})
        return dict.fromkeys(self.labels, False) | dict.fromkeys(wanted, True)

    def rename(self, instance: Instance, custom_name: str | None) -> dict[str, Any]:
        """Return the fields with which a name is shown that was given here; a direct conversation renames its contact.

        None and "" show the name in WhatsApp again. The caller holds the instance lock.
        """
        if self.contact_id is not None:
            contact = Contact.objects.select_for_update(no_key=True).get(pk=self.contact_id)
            Contact.objects.set_custom_name(contact, instance, custom_name)
            return contact.shared_fields
        original = getattr(self, self.original_name_column)
        if not custom_name:
            return {"name": original, "custom_name": None, "original_name": None}
        return {"name": custom_name, "custom_name": custom_name, "original_name": original}
