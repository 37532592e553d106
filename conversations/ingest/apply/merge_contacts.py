"""Merges pairs of contacts whose addresses turn out to belong to one person, with all rows that refer to the contacts.

The contact that was created first is kept. The other contact's rows are given to the kept contact. The direct
conversations of both contacts are merged in the same transaction, so no reader sees a message twice or misses one.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, Func, TextField, Value
from django.db.models.functions import Cast
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from conversations.ingest.apply import merge_rules
from conversations.ingest.apply.latest_state import LatestState, subject_for
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, ContactAddress, Conversation, Instance, Message, Participant
from conversations.models.conversation_changes import marked_fields
from conversations.models.state_clock import direct_subject

CONTACT_VALUES = ("custom_name", "saved_name", "push_name", "picture_url", "presence", "last_seen_at")


class _Moved(Func):
    """The primary key of the contact that takes over, by the primary key of the contact in a column."""

    output_field = BigIntegerField()
    template = "(SELECT value FROM json_each(%(expressions)s)"
    arg_joiner = ") WHERE key = "

    def __init__(self, column: str, moved: Mapping[int, int]) -> None:
        super().__init__(Value(json.dumps(moved)), Cast(column, TextField()))

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s)::bigint", arg_joiner="::jsonb ->> ")


def merge_contacts(instance: Instance, pairs: Collection[tuple[Contact, Contact]]) -> None:
    """Give the rows of the second contact of each pair to the first, and delete it; the caller holds the instance lock.

    No contact is in two pairs. The number of queries grows only with the pairs that have two conversations.
    """
    changes = UnitOfWork()
    moved = {removed.pk: kept.pk for kept, removed in pairs}
    every = [*moved, *moved.values()]
    conversations = Conversation.objects.select_for_update(of=("self",)).filter(contact__any_of=every)
    by_contact = {conversation.contact_id: conversation for conversation in conversations.order_by("pk")}
    rows: list[Contact | Conversation] = [*(contact for pair in pairs for contact in pair), *by_contact.values()]
    states = LatestState(instance, {*map(subject_for, rows), *map(direct_subject, moved.values())})
    for kept, removed in pairs:
        states.merge(kept, removed, CONTACT_VALUES, changes)
        changes.set(kept, name=states.shown_name(kept))
    ContactAddress.objects.filter(contact__any_of=moved).update(contact=_Moved("contact_id", moved))
    Message.objects.filter(sender__any_of=moved).update(sender=_Moved("sender_id", moved))
    _merge_memberships(pairs, changes)
    for kept, removed in pairs:
        kept_chat, removed_chat = by_contact.get(kept.pk), by_contact.get(removed.pk)
        if removed_chat is not None and kept_chat is not None:
            _merge_conversations(kept_chat, removed_chat, states, changes)
        elif removed_chat is not None:
            states.rename(subject_for(removed_chat), direct_subject(kept.pk))
            removed_chat.contact = kept
            changes.mark(removed_chat, {"contact"})
    changes.save()
    states.save()
    Contact.objects.filter(pk__any_of=moved).delete()


def _merge_conversations(kept: Conversation, removed: Conversation, states: LatestState, changes: UnitOfWork) -> None:
    states.merge(kept, removed, ("is_deleted",), changes)
    _merge_messages(kept, removed)
    mute_ends = [time for time in (kept.muted_until, removed.muted_until) if time]
    unread_marks = [time for time in (kept.unread_mark, removed.unread_mark) if time]
    changes.set(
        kept,
        is_archived=kept.is_archived or removed.is_archived,  # as if both had been one conversation from the beginning
        is_pinned=kept.is_pinned or removed.is_pinned,
        muted_until=max(mute_ends, default=None),
        unread_mark=max(unread_marks, default=None),
        **marked_fields(max(kept.marked_position, removed.marked_position)),
    )
    changes.set(kept, **kept.summarize())
    changes.save()
    removed.delete()


def _merge_messages(kept: Conversation, removed: Conversation) -> None:
    """Move messages to the kept conversation; if both conversations have a row for a message, merge the two rows."""
    kept_messages = Message.objects.filter(conversation=kept)
    removed_messages = Message.objects.filter(conversation=removed)
    in_both = kept_messages.filter(key_id__in=removed_messages.values("key_id"))
    by_key = {(row.key_id, row.from_me): row for row in in_both}
    changes = UnitOfWork()
    duplicates = []
    for duplicate in removed_messages.filter(key_id__in=[key_id for key_id, _ in by_key]):
        row = by_key.get((duplicate.key_id, duplicate.from_me))
        if row is not None:
            before = merge_rules.snapshot(row)
            merge_rules.merge_messages(row, duplicate)
            changes.mark(row, merge_rules.changed_fields(row, before))
            duplicates.append(duplicate.pk)
    changes.save()
    Message.objects.filter(pk__in=duplicates).delete()
    removed_messages.update(conversation=kept, updated_at=timezone.now())


def _merge_memberships(pairs: Iterable[tuple[Contact, Contact]], changes: UnitOfWork) -> None:
    found = Participant.objects.filter(contact__any_of=[contact.pk for pair in pairs for contact in pair])
    by_contact: defaultdict[int, dict[int, Participant]] = defaultdict(dict)
    for row in found:
        by_contact[row.contact_id][row.conversation_id] = row
    for kept, removed in pairs:
        for conversation, row in by_contact[removed.pk].items():
            existing = by_contact[kept.pk].get(conversation)
            if existing is None:
                row.contact = kept
                changes.mark(row, {"contact"})
            elif merge_rules.membership_order(row) > merge_rules.membership_order(existing):
                changes.set(existing, role=row.role, is_present=row.is_present, clock=row.clock)
