"""Loads the pending updates that a batch may complete, and names the addresses in updates."""

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Q

from conversations.evolution import jid
from conversations.evolution.facts import MessageUpdate
from conversations.models import Instance, Message, PendingUpdate

EDITS = (PendingUpdate.Kind.EDIT, PendingUpdate.Kind.DETAILS)


def pending_for_keys(instance: Instance, key_ids: Iterable[str]) -> list[PendingUpdate]:
    """Return the pending updates of messages with these key ids."""
    wanted = set(key_ids)
    return list(PendingUpdate.objects.filter(instance=instance, key_id__any_of=wanted)) if wanted else []


def key_ids_for_contacts(instance: Instance, keys: Iterable[str]) -> set[str]:
    """Return the key ids of pending updates whose chat, or of edits whose author, has one of the address keys.

    Those of messages that have not arrived are left out, because the message finds them by its key id. A sender may
    choose any number of them for one chat.
    """
    wanted = set(keys)
    if not wanted:
        return set()
    has_address = Q(chat__in=wanted) | Q(kind__in=EDITS, subject__in=wanted)
    messages, updates = Message.objects.filter(instance=instance), PendingUpdate.objects.filter(instance=instance)
    is_known = Exists(messages.filter(key_id=OuterRef("key_id")))
    of_album = updates.filter(Exists(messages.filter(key_id=OuterRef("subject"))), kind=PendingUpdate.Kind.ALBUM)
    is_of_album = Exists(of_album.filter(key_id=OuterRef("key_id")))
    found = updates.filter(has_address).filter(is_known | is_of_album)
    return set(found.values_list("key_id", flat=True).distinct())


def address_keys(updates: Iterable[MessageUpdate | PendingUpdate]) -> set[str]:
    """Return the address keys in updates, by which their chats and authors are found."""
    return {key for update in updates for key in (update.chat, update.subject, who_key(update))}


def who_key(update: MessageUpdate | PendingUpdate) -> str:
    """Return the key of the address that is shown for the author of a reaction or a vote; "" if it has none."""
    return jid.key_of(update.value.get("who"))
