"""Operations on contacts."""

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q, QuerySet

from cachelayer import Page
from conversations.evolution import jid as jids
from conversations.managers import PAGE
from conversations.managers.instance_scoped import InstanceScopedManager
from conversations.managers.locking import delete_locked, owner

if TYPE_CHECKING:
    from conversations.models import Contact, Instance


class ContactManager(InstanceScopedManager["Contact"]):
    """Operations on contacts."""

    def for_instance(
        self,
        instance: "Instance | int | None",
        *,
        search: str = "",
        cursor: str = "",
        limit: int = PAGE,
        fresh: bool = False,
    ) -> Page["Contact"]:
        """Return a page of an instance's contacts (of all instances' for None), by name.

        Args:
            instance: the instance, its primary key, or None.
            search: part of a name, a phone number or a LID.
            cursor: "" or a cursor of another page.
            limit: rows at most.
            fresh: see `fetch`.
        """

        def rows() -> QuerySet["Contact"]:
            rows = self.scoped_to(instance)
            found = Q(name__icontains=search) | Q(phone__contains=search) | Q(lid__contains=search)
            return rows.filter(found) if search else rows

        tag = self.list_tag(instance)
        return self.fetch_page(tag, rows, ("name", "id"), cursor=cursor, limit=limit, fresh=fresh, search=search)

    def upsert(self, instance: "Instance", jid: str, **fields: Any) -> tuple["Contact", bool]:
        """Return the contact that has the address, made or updated with `fields`, and whether it was made.

        Raises:
            ValueError: `jid` names no person.
        """
        address = jids.parse(jid)
        if address is None or not address.is_person:
            raise ValueError("the JID names no person")
        with transaction.atomic():
            owner(self.model).lock(instance.pk)
            contact = self.filter(addresses__instance=instance, addresses__key=address.key).first()
            if contact is None:
                return self._create_at(instance, address, fields), True
            for name, value in fields.items():
                setattr(contact, name, value)
            if fields:
                contact.save(update_fields=[*fields, "updated_at"])
        return contact, False

    def _create_at(self, instance: "Instance", address: jids.Address, fields: dict[str, Any]) -> "Contact":
        kind = "phone" if address.server is jids.Server.PHONE else "lid"
        contact = self.create(**{"instance": instance, "jid": address.jid, kind: address.number, **fields})
        contact.addresses.create(instance=instance, key=address.key, jid=address.jid)
        return contact

    def delete(self, pk: int) -> bool:
        """Delete the contact; return whether it was there.

        Raises:
            RestrictedError: a conversation or a message still refers to it.
        """
        return delete_locked(self.filter(pk=pk))
