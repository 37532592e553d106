"""Merges two contacts whose addresses turn out to belong to one person, with all rows that refer to the contacts.

The contact that was created first is kept. The other contact's rows are given to the kept contact. The direct
conversations of both contacts are merged in the same transaction, so no reader sees a message twice or misses one.
"""

from django.utils import timezone

from conversations.ingest.apply import merge_rules
from conversations.ingest.apply.latest_state import LatestState, subject_for
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, ContactAddress, Conversation, Instance, Message, Participant, StateClock
from conversations.models.conversation_changes import marked_fields
from conversations.models.state_clock import direct_subject

CONTACT_VALUES = ("custom_name", "saved_name", "push_name", "picture_url", "presence", "last_seen_at")


def merge_contacts(instance: Instance, kept: Contact, removed: Contact) -> None:
    """Give the rows of contact `removed` to contact `kept`, delete `removed`; the caller holds the instance lock."""
    changes = UnitOfWork()
    conversations = Conversation.objects.select_for_update(of=("self",)).filter(contact__in=(kept, removed))
    by_contact = {conversation.contact_id: conversation for conversation in conversations.order_by("pk")}
    kept_chat, removed_chat = by_contact.get(kept.pk), by_contact.get(removed.pk)
    rows = [row for row in (kept, removed, kept_chat, removed_chat) if row is not None]
    states = LatestState(instance, [subject_for(row) for row in rows])
    states.merge(kept, removed, CONTACT_VALUES, changes)
    changes.set(kept, name=states.shown_name(kept))
    ContactAddress.objects.filter(contact=removed).update(contact=kept)
    Message.objects.filter(sender=removed).update(sender=kept)
    _merge_memberships(kept, removed)
    if removed_chat is not None and kept_chat is not None:
        _merge_conversations(kept_chat, removed_chat, states, changes)
    elif removed_chat is not None:
        _reassign_conversation(removed_chat, kept, changes)
    changes.save()
    states.save()
    removed.delete()


def _reassign_conversation(conversation: Conversation, kept: Contact, changes: UnitOfWork) -> None:
    """Give the conversation of the removed contact, with its clocks, to the kept contact, which has no conversation."""
    clocks = StateClock.objects.filter(instance=conversation.instance_id)
    clocks.filter(subject=direct_subject(kept.pk)).delete()
    clocks.filter(subject=subject_for(conversation)).update(subject=direct_subject(kept.pk))
    changes.set(conversation, contact=kept)


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


def _merge_memberships(kept: Contact, removed: Contact) -> None:
    by_conversation: dict[int, Participant] = {row.conversation_id: row for row in kept.memberships.all()}
    for row in removed.memberships.all():
        existing = by_conversation.get(row.conversation_id)
        if existing is None:
            row.contact = kept
            row.save(update_fields=["contact"])
        elif merge_rules.membership_order(row) > merge_rules.membership_order(existing):
            existing.role, existing.is_present, existing.clock = row.role, row.is_present, row.clock
            existing.save(update_fields=["role", "is_present", "clock"])
