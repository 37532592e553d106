"""Chooses the JID, the phone number and the LID that a contact shows, of all its addresses."""

from collections.abc import Iterable, Mapping

from conversations.evolution import jid
from conversations.ingest.apply import phone_holders
from conversations.ingest.apply.phone_holders import Claims
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, ContactAddress


def address_fields(addresses: Mapping[str, Claims]) -> dict[str, str]:
    """Choose a contact's fields `jid`, `phone` and `lid` from all its JIDs and the claims to them, in any order.

    Of several phone numbers, the one that was claimed last is chosen.
    """
    lids = [one for one in addresses if one.endswith("@lid")]
    phones = [one for one in addresses if not one.endswith("@lid")]
    latest = max((phone_holders.latest_claim(addresses[one]) for one in phones), default=None)
    phone = jid.preferred_jid([one for one in phones if phone_holders.latest_claim(addresses[one]) == latest])
    lid = jid.preferred_jid(lids)
    return {"jid": phone or lid, "phone": phone.partition("@")[0], "lid": lid.partition("@")[0]}


def may_replace(contact: Contact, key: str, before: Claims, after: Claims) -> bool:
    """Return whether new claims to a phone number may change which number `address_fields` chooses for its contact.

    A late event can make a number less preferred, because an earlier first time of a claim lowers the sort key.
    """
    old, new = phone_holders.latest_claim(before), phone_holders.latest_claim(after)
    return new < old if jid.key_of(contact.jid) == key else new > old


def set_address_fields(contacts: Iterable[Contact], changes: UnitOfWork, without: Iterable[str] = ()) -> set[Contact]:
    """Set the fields `jid`, `phone` and `lid` of contacts; return the contacts whose fields changed."""
    found: dict[int, dict[str, Claims]] = {contact.pk: {} for contact in contacts}
    if not found:
        return set()
    rows = ContactAddress.objects.filter(contact__in=found).exclude(key__in=list(without))
    for contact_id, one, claims in rows.values_list("contact_id", "jid", "claims"):
        found[contact_id][one] = claims
    return {contact for contact in contacts if changes.set(contact, **address_fields(found[contact.pk]))}
