"""Merges pairs of contacts whose addresses turn out to belong to one person, with all rows that refer to the contacts.

The second contact's rows are given to the first, which is kept. The direct conversations of both contacts are merged in
the same transaction, so no reader sees a message twice or misses one.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, Func, Q, TextField, Value
from django.db.models.functions import Cast
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from conversations.ingest.apply import merge_rules, summaries
from conversations.ingest.apply.latest_state import LatestState, subject_for
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, ContactAddress, Conversation, Instance, Message, Participant
from conversations.models.conversation_changes import marked_fields
from conversations.models.state_clock import direct_subject

CONTACT_VALUES = ("custom_name", "saved_name", "push_name", "picture_url", "presence", "last_seen_at")
_MAX_CHATS = 100  # maximum pairs of conversations that are merged together
_MAX_KEY_IDS = 500  # of messages in both conversations of a pair that are in memory together
_Chats = tuple[Conversation, Conversation]  # the kept one, and the removed one


class _Moved(Func):
    """The primary key of the row that takes over, by the primary key of the row in a column."""

    output_field = BigIntegerField()
    template = "json_extract(%(expressions)s)"
    arg_joiner = ", '$.' || "

    def __init__(self, column: str, moved: Mapping[int, int]) -> None:
        super().__init__(Value(json.dumps(moved)), Cast(column, TextField()))

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s)::bigint", arg_joiner="::jsonb ->> ")


def merge_contacts(instance: Instance, pairs: Collection[tuple[Contact, Contact]]) -> None:
    """Give the rows of the second contact of each pair to the first, and delete it; the caller holds the instance lock.

    No contact is in two pairs. Any number of pairs takes as many queries as one, up to `_MAX_CHATS` with conversations.
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
    chats = []
    for kept, removed in pairs:
        kept_chat, removed_chat = by_contact.get(kept.pk), by_contact.get(removed.pk)
        if removed_chat is not None and kept_chat is not None:
            chats.append((kept_chat, removed_chat))
        elif removed_chat is not None:
            states.rename(subject_for(removed_chat), direct_subject(kept.pk))
            removed_chat.contact = kept
            changes.mark(removed_chat, {"contact"})
    for start in range(0, len(chats), _MAX_CHATS):
        _merge_conversations(chats[start : start + _MAX_CHATS], states, changes)
    changes.save()
    states.save()
    Contact.objects.filter(pk__any_of=moved).delete()


def _merge_conversations(pairs: Sequence[_Chats], states: LatestState, changes: UnitOfWork) -> None:
    for kept, removed in pairs:
        states.merge(kept, removed, ("is_deleted",), changes)
        mute_ends = [time for time in (kept.muted_until, removed.muted_until) if time]
        unread_marks = [time for time in (kept.unread_mark, removed.unread_mark) if time]
        changes.set(
            kept,
            is_archived=kept.is_archived or removed.is_archived,  # as if both had always been one
            is_pinned=kept.is_pinned or removed.is_pinned,
            muted_until=max(mute_ends, default=None),
            unread_mark=max(unread_marks, default=None),
            **marked_fields(max(kept.marked_position, removed.marked_position)),
        )
    moved = {removed.pk: kept.pk for kept, removed in pairs}
    _merge_messages(moved)
    summaries.summarize([kept for kept, _ in pairs], changes)
    Conversation.objects.filter(pk__any_of=moved).delete()


def _merge_messages(moved: Mapping[int, int]) -> None:
    """Move messages to the kept conversations; if both of a pair have a row for a message, merge the two rows.

    The second of two merged rows stays where it is, and is deleted with its conversation.
    """
    kept_messages = Message.objects.filter(conversation__any_of=moved.values())
    removed_messages = Message.objects.filter(conversation__any_of=moved)
    in_both = removed_messages.filter(key_id__in=kept_messages.values("key_id"))
    key_ids = sorted(set(in_both.values_list("key_id", flat=True)))
    duplicates: list[int] = []
    for start in range(0, len(key_ids), _MAX_KEY_IDS):
        has_key = Q(key_id__any_of=key_ids[start : start + _MAX_KEY_IDS])
        duplicates += _merge_duplicates(kept_messages.filter(has_key), removed_messages.filter(has_key), moved)
    removed_messages.exclude(pk__any_of=duplicates).update(
        conversation=_Moved("conversation_id", moved), updated_at=timezone.now()
    )


def _merge_duplicates(kept: Iterable[Message], removed: Iterable[Message], moved: Mapping[int, int]) -> list[int]:
    """Merge removed messages into the kept rows of the same messages; return the primary keys of the merged ones."""
    by_key = {(row.conversation_id, row.key_id, row.from_me): row for row in kept}
    changes = UnitOfWork()
    duplicates = []
    for duplicate in removed:
        row = by_key.get((moved[duplicate.conversation_id], duplicate.key_id, duplicate.from_me))
        if row is not None:
            before = merge_rules.snapshot(row)
            merge_rules.merge_messages(row, duplicate)
            changes.mark(row, merge_rules.changed_fields(row, before))
            duplicates.append(duplicate.pk)
    changes.save()
    return duplicates


def _merge_memberships(pairs: Collection[tuple[Contact, Contact]], changes: UnitOfWork) -> None:
    new_contacts = {removed.pk: kept for kept, removed in pairs}
    rows = list(Participant.objects.filter(contact__any_of=new_contacts))
    # The kept contact may have many more memberships, which stay as they are.
    known = Participant.objects.filter(
        contact__any_of=[kept.pk for kept, _ in pairs], conversation__any_of={row.conversation_id for row in rows}
    )
    by_group = {(row.contact_id, row.conversation_id): row for row in known}
    lost = []
    for row in rows:
        kept = new_contacts[row.contact_id]
        existing = by_group.get((kept.pk, row.conversation_id))
        if existing is None:
            row.contact = kept
            changes.mark(row, {"contact"})
            continue
        lost.append(row)
        if merge_rules.membership_order(row) > merge_rules.membership_order(existing):
            changes.set(existing, role=row.role, is_present=row.is_present, clock=row.clock)
    Participant.objects.fast_bulk_delete(lost)
