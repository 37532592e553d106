"""Operations on conversations: the twelve that an inbox needs."""

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from cachelayer import Page
from conversations.evolution import jid as jids
from conversations.managers import PAGE, conversation_summary
from conversations.managers.instance_scoped import InstanceScopedManager
from conversations.managers.locking import delete_locked, owner

if TYPE_CHECKING:
    from conversations.models import Conversation, Instance, Participant

LATEST = ("-last_message_at", "-id")
CHANGED = ("updated_at", "id")


class ConversationManager(InstanceScopedManager["Conversation"]):
    """Operations on conversations. Each write locks the row, so that it never loses to an event applied meanwhile."""

    def for_instance(  # noqa: PLR0913 - one argument a filter, as the API has them
        self,
        instance: "Instance | int | None",
        *,
        archived: bool | None = None,
        pinned: bool | None = None,
        unread: bool | None = None,
        deleted: bool | None = False,
        kind: str = "",
        search: str = "",
        updated_after: dt.datetime | None = None,
        cursor: str = "",
        limit: int = PAGE,
        fresh: bool = False,
    ) -> Page["Conversation"]:
        """Return a page of an instance's conversations (of all instances' for None), latest message first.

        Args:
            instance: the instance, its primary key, or None.
            archived: only those that are, or are not; None for both. `pinned`, `unread` and `deleted` likewise.
            pinned: see `archived`.
            unread: see `archived`.
            deleted: see `archived`; what was deleted on the phone is left out unless asked for.
            kind: one of `Conversation.Kind`, or "".
            search: part of a name or of an address.
            updated_after: only rows changed after that moment, in the order of their changes: for those who follow.
            cursor: "" or a cursor of another page.
            limit: rows at most.
            fresh: see `fetch`.
        """
        filters: dict[str, Any] = {
            "is_archived": archived, "is_pinned": pinned, "is_deleted": deleted,
            "unread": unread, "kind": kind, "search": search, "updated_after": updated_after,
        }  # fmt: skip
        order = LATEST if updated_after is None else CHANGED
        return self.fetch_page(
            self.list_tag(instance),
            lambda: self._filtered(instance, **filters),
            order,
            cursor=cursor,
            limit=limit,
            fresh=fresh,
            **filters,
        )

    def _filtered(
        self,
        instance: "Instance | int | None",
        *,
        unread: bool | None,
        kind: str,
        search: str,
        updated_after: dt.datetime | None,
        **flags: bool | None,
    ) -> "QuerySet[Conversation]":
        rows = self.scoped_to(instance).filter(**{name: value for name, value in flags.items() if value is not None})
        if unread is not None:
            rows = rows.filter(unread_count__gt=0) if unread else rows.filter(unread_count=0)
        if kind:
            rows = rows.filter(kind=kind)
        if search:
            rows = rows.filter(Q(name__icontains=search) | Q(jid__contains=search))
        return rows if updated_after is None else rows.filter(updated_at__gt=updated_after)

    def participants(self, conversation: "Conversation") -> list["Participant"]:
        """Return who is in a group now, with their contacts, by name; nobody for what is no group."""
        if conversation.kind != "group":
            return []
        members = _related(self.model, "participants").for_conversation(conversation.pk)
        members = [one for one in members if one.is_present and one.clock >= conversation.participants_as_of]
        contacts = _related(self.model, "contact").fetch_many(one.contact_id for one in members)
        present = [one for one in members if one.contact_id in contacts]  # a contact may have gone meanwhile
        for one in present:
            one.contact = contacts[one.contact_id]
        return sorted(present, key=lambda one: (one.contact.name, one.pk))

    def upsert(self, instance: "Instance", jid: str, **fields: Any) -> tuple["Conversation", bool]:
        """Return the conversation with that address, made or updated with `fields`, and whether it was made.

        Raises:
            ValueError: `jid` is no address.
        """
        address = jids.parse(jid)
        if address is None:
            raise ValueError("not a JID")
        with transaction.atomic():
            owner(self.model).lock(instance.pk)
            if not address.is_person:
                defaults = {"kind": str(address.server), **fields}
                return self.update_or_create(instance=instance, jid=address.jid, defaults=defaults)
            contact, _ = instance.contacts.upsert(instance, jid)
            defaults = {"kind": "direct", "jid": contact.jid, "name": contact.name, **fields}
            return self.update_or_create(instance=instance, contact=contact, defaults=fields, create_defaults=defaults)

    def mark_read(self, pk: int) -> "Conversation":
        """Mark everything up to the last message as read."""
        with transaction.atomic():
            row = self._locked().get(pk=pk)
            marked = max(row.marked_read_until, row.last_message_at)
            return _change(row, marked_read_until=marked, read_until=max(row.read_until, marked), unread_count=0)

    def increment_unread(self, pk: int, by: int = 1) -> "Conversation":
        """Add to the unread count, for messages that are kept elsewhere; the next mark-read starts from 0 again."""
        with transaction.atomic():
            row = self._locked().get(pk=pk)
            row.unread_count = F("unread_count") + by
            row.save(update_fields=["unread_count", "updated_at"])
            row.refresh_from_db(fields=["unread_count"])
        return row

    def recount(self, pk: int) -> "Conversation":
        """Take the last message, the read watermark and the unread count from the messages anew."""
        with transaction.atomic():
            row = self._locked().get(pk=pk)
            return _change(row, **conversation_summary.recompute(row))

    def archive(self, pk: int) -> "Conversation":
        """Put the conversation into the archive."""
        return self._set(pk, is_archived=True)

    def unarchive(self, pk: int) -> "Conversation":
        """Take the conversation out of the archive."""
        return self._set(pk, is_archived=False)

    def pin(self, pk: int) -> "Conversation":
        """Pin the conversation."""
        return self._set(pk, is_pinned=True)

    def unpin(self, pk: int) -> "Conversation":
        """Unpin the conversation."""
        return self._set(pk, is_pinned=False)

    def delete(self, pk: int) -> bool:
        """Delete the conversation with its messages; return whether it was there."""
        return delete_locked(self.filter(pk=pk))

    def _set(self, pk: int, **fields: bool) -> "Conversation":
        with transaction.atomic():
            return _change(self._locked().get(pk=pk), **fields)

    def _locked(self) -> "QuerySet[Conversation]":
        return self.select_for_update(no_key=True)


def _related(model: "type[Conversation]", name: str) -> Any:
    """Return the manager of the rows at the other end of a relation (models import managers, not they models)."""
    related: Any = model._meta.get_field(name).related_model  # noqa: SLF001 - Django's documented way to a field
    return related.objects


def _change(row: "Conversation", **fields: Any) -> "Conversation":
    """Save what differs; a row that is already so is not written, and so not news to those who follow changes."""
    changed = [name for name, value in fields.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, fields[name])
    if changed:
        row.save(update_fields=[*changed, "updated_at"])
    return row
