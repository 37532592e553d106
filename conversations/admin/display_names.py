"""Display names of contacts and conversations, computed without queries: the name if known, else the phone number."""

from collections.abc import Iterable, Mapping

from django.utils.translation import gettext_lazy as _

from conversations.evolution import jid
from conversations.evolution.facts import ME
from conversations.models import Contact, Conversation, Message

YOU = _("You")
_SERVERS = frozenset(jid.AddressKind)


class DisplayNames:
    """Display names of the people in one conversation, found by contact or by address.

    Args:
        contacts: primary key → contact, for the authors of messages, quoted messages and reactions.
        contact_ids: address key, such as "phone:5511940028922" → primary key of the contact with the address.
        own_jids: the WhatsApp addresses (JIDs) of the instance.
    """

    def __init__(self, contacts: Mapping[int, Contact], contact_ids: Mapping[str, int], *own_jids: str) -> None:
        self._contacts = contacts
        self._names = {key: contact_display_name(contacts[pk]) for key, pk in contact_ids.items() if pk in contacts}
        self._names |= {ME: str(YOU)} | {own.key: str(YOU) for text in own_jids if (own := jid.parse(text))}

    def for_sender(self, message: Message) -> str:
        """Return the sender's name: the name of the contact, else the name in the message, else the sender's number."""
        contact = self._contacts.get(message.sender_id or 0)
        number = contact_display_name(contact) if contact else str(_("Unknown"))
        return (contact.name if contact else "") or message.sender_name or number

    def for_author(self, author: str) -> str:
        """Return the name of the author of a reaction, which is a key of `Message.reactions`."""
        contact = self._contacts.get(int(author)) if author.isdecimal() else None
        return contact_display_name(contact) if contact else self.for_address(author)

    def for_address(self, address: str) -> str:
        """Return the name of the contact with this address, else the number in the address.

        Args:
            address: a JID, an address key such as "phone:5511940028922", or "me" for the instance.
        """
        return self._names.get(address_key(address)) or format_address(address)


def referenced_keys(messages: Iterable[Message]) -> set[str]:
    """Return the address keys of the authors of quoted messages."""
    return {address_key(row.quoted_sender) for row in messages if row.quoted_sender}


def referenced_contacts(messages: Iterable[Message]) -> set[int]:
    """Return the primary keys of the senders of messages and of the contacts whose reactions are shown."""
    authors = {int(author) for row in messages for author, _ in row.first_reactions if author.isdecimal()}
    return authors | {row.sender_id for row in messages if row.sender_id}


def address_key(address: str) -> str:
    """Return the address key of a JID, such as "phone:5511940028922"; return an address key unchanged."""
    if address.partition(":")[0] in _SERVERS:
        return address
    parsed = jid.parse(address)
    return parsed.key if parsed and address != ME else address


def contact_display_name(contact: Contact) -> str:
    """Return the contact's name, or the number of a contact without a name."""
    return contact.name or format_address(contact.jid)


def conversation_display_name(conversation: Conversation) -> str:
    """Return the conversation's name, or the number of a conversation without a name."""
    return conversation.name or format_address(conversation.jid)


def format_address(address: str) -> str:
    """Return the number in a JID or address key, with "+" before a phone number; return any other text unchanged."""
    server, _, number = address.partition(":")
    if server in _SERVERS:
        return f"+{number}" if server == jid.AddressKind.PHONE else number
    parsed = jid.parse(address)
    if parsed is None:
        return address
    return f"+{parsed.number}" if parsed.kind is jid.AddressKind.PHONE else parsed.number
