"""The models of a person or business that an instance knows, and of each of their WhatsApp addresses."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from django.db import models, transaction

from cachelayer import Page
from conversations.db.deletion import DB_CASCADE
from conversations.evolution import jid as jids
from conversations.evolution.envelope import ECHO
from conversations.models.base import PAGE_SIZE, TimestampedModel, save_changes
from conversations.models.contact_filters import ContactFilters
from conversations.models.instance import Instance
from conversations.models.instance_scoped import Instances, InstanceScopedManager, instance_pks
from conversations.models.state_clock import StateClock, Subject, contact_subject

BY_NAME = ("name", "id")


class ContactManager(InstanceScopedManager["Contact"]):
    """Lists and upserts contacts."""

    def for_instance(
        self, instances: Instances, *, cursor: str = "", limit: int = PAGE_SIZE, fresh: bool = False, **filters: Any
    ) -> Page["Contact"]:
        """Return a page of the contacts of some instances, ordered by name.

        Args:
            instances: one instance, the primary keys of several, or None for all instances.
            cursor: a cursor from another page of the same list; "" for the first page.
            limit: maximum number of rows on the page.
            fresh: skip the local cache, as `fetch` does.
            filters: the fields of `ContactFilters`.
        """
        chosen = ContactFilters(**filters)
        return self.fetch_page(
            self.list_tag(instances),
            lambda: self.rows_of(instances, chosen.condition(), is_small=chosen.is_small),
            BY_NAME,
            cursor=cursor,
            limit=limit,
            fresh=fresh,
            instances=instance_pks(instances),
            **asdict(chosen),
        )

    def upsert(self, instance: Instance, jid: str, **fields: Any) -> tuple["Contact", bool]:
        """Create the contact with the address `jid`, or update the fields of the contact that has this address.

        Returns:
            The contact, and whether it was created.

        Raises:
            ValueError: `jid` is not the address of a person.
        """
        address = jids.parse(jid)
        if address is None or not address.is_person:
            raise ValueError("the JID is not the address of a person")
        with transaction.atomic():
            Instance.objects.lock(instance.pk)
            contact = self.filter(addresses__instance=instance, addresses__key=address.key).first()
            if contact is None:
                return self._create_with_address(instance, address, fields), True
            for name, value in fields.items():
                setattr(contact, name, value)
            if fields:
                contact.save(update_fields=[*fields, "updated_at"])
        return contact, False

    def rename(self, pk: int, custom_name: str | None) -> "Contact":
        """Set the name to show for the contact instead of the phone's; None and "" show the phone's name again.

        Ingestion never changes this name. Of two contacts that are merged, the name that was set later stays.
        """
        with transaction.atomic():
            instance = Instance.objects.lock_of(self.filter(pk=pk))
            row = self.select_for_update(no_key=True).get(pk=pk)
            self.set_custom_name(row, instance, custom_name)
            conversation = getattr(row, "conversation", None)
            if conversation is not None:
                save_changes(conversation, **row.shared_fields)
        return row

    def set_custom_name(self, row: "Contact", instance: Instance, custom_name: str | None) -> None:
        """Save the name of a locked contact, but not its conversation; the caller holds the instance lock."""
        clocks = StateClock.objects.stamp({row.clock_subject: ["custom_name"]})[row.clock_subject]
        name = custom_name or row.phone_name(clocks, instance.own_names)
        save_changes(row, name=name, custom_name=custom_name or None)

    def _create_with_address(self, instance: Instance, address: jids.Address, fields: dict[str, Any]) -> "Contact":
        number_field = "phone" if address.kind is jids.AddressKind.PHONE else "lid"
        contact = self.create(**{"instance": instance, "jid": address.jid, number_field: address.number, **fields})
        contact.addresses.create(instance=instance, key=address.key, jid=address.jid)
        return contact


class Contact(TimestampedModel):
    """One person or business. `jid`, `phone` and `lid` are the preferred JID, phone number and LID of the contact.

    `name` is `custom_name` or else, as in WhatsApp, `saved_name` or `push_name`.
    """

    class Presence(models.TextChoices):
        """The contact's latest known activity, such as online or typing."""

        UNKNOWN = "", "unknown"
        AVAILABLE = "available"
        UNAVAILABLE = "unavailable"
        COMPOSING = "composing"
        RECORDING = "recording"
        PAUSED = "paused"

    instance = models.ForeignKey(Instance, DB_CASCADE, related_name="contacts", db_index=False)
    jid = models.CharField(max_length=128)
    phone = models.CharField(max_length=32, blank=True, default="", help_text="digits with the country code")
    lid = models.CharField(max_length=64, blank=True, default="", help_text="digits of the LID")
    name = models.CharField(max_length=255, blank=True, default="", help_text="the name to show")
    saved_name = models.CharField(max_length=255, blank=True, default="", help_text="name in the phone's address book")
    push_name = models.CharField(max_length=255, blank=True, default="", help_text="name that the contact chose")
    custom_name = models.CharField(  # noqa: DJ001 - a nullable column is added without rewriting the table
        max_length=255, null=True, blank=True, help_text="name given to the contact here; shown instead of the others"
    )
    picture_url = models.TextField(blank=True, default="")
    presence = models.CharField(max_length=16, choices=Presence, blank=True, default=Presence.UNKNOWN)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    objects: ContactManager = ContactManager()
    str_fields = ("pk", "name")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "jid"], name="contact_jid")]
        indexes = [
            models.Index(fields=["instance", "name", "id"], name="contact_by_name"),
            models.Index(fields=["name", "id"], name="contact_all_by_name"),
        ]

    @property
    def clock_subject(self) -> Subject:
        """The subject of the contact's clocks."""
        return Subject(self.instance_id, contact_subject(self.pk))

    @property
    def shared_fields(self) -> dict[str, Any]:
        """The fields that the direct conversation with the contact has too."""
        return {"jid": self.jid, "name": self.name, "custom_name": self.custom_name}

    def phone_name(self, clocks: Mapping[str, str], own_names: Collection[str]) -> str:
        """Return the name to show if none was given here: the one in the phone's address book, or the contact's own.

        A name of the instance itself is not shown if only an echo of the instance's messages gave it to the contact.

        Args:
            clocks: the clocks of the contact's fields.
            own_names: the names that the instance has had.
        """
        is_own = clocks.get("push_name", "").startswith(ECHO) and self.push_name in own_names
        return self.saved_name or ("" if is_own else self.push_name)


class ContactAddress(models.Model):
    """One WhatsApp address of a contact, identified by its address key (see `evolution/jid.py`).

    A LID has no contact while only outbound messages have shown it, beside a phone number: it may be the instance's.
    """

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=128)
    jid = models.CharField(max_length=128, help_text="the address as WhatsApp wrote it")
    contact = models.ForeignKey(Contact, models.CASCADE, null=True, related_name="addresses")
    claims = models.JSONField(
        default=dict,
        editable=False,
        help_text="of a phone number: LID → first (ms) and last (day) claim; of a LID: waiting claims by number",
    )
    is_correspondent = models.BooleanField(
        default=False, editable=False, help_text="a LID under which messages were exchanged"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "key"], name="contact_address")]

    def __str__(self) -> str:
        return f"address of contact {self.contact_id}"
