"""Two contacts turn out to be one person: the later one's rows become the earlier one's, and nothing is lost.

Both halves' conversations become one, inside the transaction that learned of it, so that no reader sees either twice.
"""

from django.utils import timezone

from conversations.ingest.apply import merge_rules
from conversations.ingest.apply.latest_state import LatestState, direct_subject, subject_for
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, ContactAddress, Conversation, Instance, Message, Participant, StateClock

CONTACT_VALUES = ("name", "picture_url", "presence", "last_seen_at")


def merge_contacts(instance: Instance, kept: Contact, gone: Contact) -> None:
    """Make `gone`'s rows `kept`'s and delete `gone`; the caller holds the instance's lock."""
    changes = UnitOfWork()
    halves = Conversation.objects.select_for_update(of=("self",)).filter(contact__in=(kept, gone))
    by_contact = {half.contact_id: half for half in halves.order_by("pk")}
    ours, theirs = by_contact.get(kept.pk), by_contact.get(gone.pk)
    rows = [row for row in (kept, gone, ours, theirs) if row is not None]
    states = LatestState(instance, [subject_for(row) for row in rows])
    states.merge(kept, gone, CONTACT_VALUES, changes)
    ContactAddress.objects.filter(contact=gone).update(contact=kept)
    Message.objects.filter(sender=gone).update(sender=kept)
    _unite_memberships(kept, gone)
    if theirs is not None and ours is not None:
        _unite_conversations(ours, theirs, states, changes)
    elif theirs is not None:
        _hand_over(theirs, kept, changes)
    changes.save()
    states.save()
    gone.delete()


def _hand_over(conversation: Conversation, kept: Contact, changes: UnitOfWork) -> None:
    """Only the contact that goes had a conversation: it is the other's now, clocks included."""
    clocks = StateClock.objects.filter(instance=conversation.instance_id)
    clocks.filter(subject=direct_subject(kept.pk)).delete()
    clocks.filter(subject=subject_for(conversation)).update(subject=direct_subject(kept.pk))
    changes.set(conversation, contact=kept)


def _unite_conversations(kept: Conversation, gone: Conversation, states: LatestState, changes: UnitOfWork) -> None:
    states.merge(kept, gone, ("is_deleted",), changes)
    _unite_messages(kept, gone)
    muted = [time for time in (kept.muted_until, gone.muted_until) if time]
    changes.set(
        kept,
        is_archived=kept.is_archived and gone.is_archived,
        is_pinned=kept.is_pinned or gone.is_pinned,
        muted_until=max(muted, default=None),
        marked_read_until=max(kept.marked_read_until, gone.marked_read_until),
    )
    changes.set(kept, **kept.summarize())
    changes.save()
    gone.delete()


def _unite_messages(kept: Conversation, gone: Conversation) -> None:
    """Move the messages; those that both halves have are joined pair by pair."""
    ours = Message.objects.filter(conversation=kept)
    theirs = Message.objects.filter(conversation=gone)
    twins = {(row.key_id, row.from_me): row for row in ours.filter(key_id__in=theirs.values("key_id"))}
    changes = UnitOfWork()
    doubled = []
    for row in theirs.filter(key_id__in=[key_id for key_id, _ in twins]):
        twin = twins.get((row.key_id, row.from_me))
        if twin is not None:
            before = merge_rules.snapshot(twin)
            merge_rules.merge_messages(twin, row)
            changes.mark(twin, merge_rules.changed_fields(twin, before))
            doubled.append(row.pk)
    changes.save()
    Message.objects.filter(pk__in=doubled).delete()
    theirs.update(conversation=kept, updated_at=timezone.now())


def _unite_memberships(kept: Contact, gone: Contact) -> None:
    ours = {row.conversation_id: row for row in kept.memberships.all()}
    for row in gone.memberships.all():
        twin = ours.get(row.conversation_id)
        if twin is None:
            row.contact = kept
            row.save(update_fields=["contact"])
        elif membership_order(row) > membership_order(twin):
            twin.role, twin.is_present, twin.clock = row.role, row.is_present, row.clock
            twin.save(update_fields=["role", "is_present", "clock"])


def membership_order(row: Participant) -> tuple[str, bool, str]:
    """Return what orders two statements of one membership; the greater one holds."""
    return row.clock, row.is_present, row.role
