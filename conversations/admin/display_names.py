"""What people and their chats are called: by a name if there is one, else by the number as people write it. Pure."""

from collections.abc import Iterable, Mapping

from conversations.evolution import jid
from conversations.models import Contact, Conversation, Message

ME = "me"  # what `Message.reactions` has for the instance's own
YOU = "You"
_SERVERS = frozenset(jid.Server)


class DisplayNames:
    """Who is who in one conversation: names by a contact's primary key, and by the key of any of their addresses.

    Args:
        contacts: the senders and all who reacted or are quoted, by primary key.
        addresses: address key → primary key of a contact.
        owner_jid: the instance's own address, or "".
    """

    def __init__(self, contacts: Mapping[int, Contact], addresses: Mapping[str, int], owner_jid: str = "") -> None:
        self._contacts = contacts
        self._by_key = {key: name_of(contacts[pk]) for key, pk in addresses.items() if pk in contacts}
        owner = jid.parse(owner_jid)
        self._by_key |= {ME: YOU} | ({owner.key: YOU} if owner else {})

    def sender(self, message: Message) -> str:
        """Return the name of the one who wrote it: today's, or what it was then, or the number."""
        contact = self._contacts.get(message.sender_id or 0)
        return (contact.name if contact else "") or message.sender_name or (name_of(contact) if contact else "Unknown")

    def named(self, address: str) -> str:
        """Return the name of whoever has the address, or the number; `address` is a JID, a key, or "me"."""
        return self._by_key.get(key_of(address)) or number_of(address)


def addresses(messages: Iterable[Message]) -> set[str]:
    """Return the keys of all who are quoted in the messages or reacted to them."""
    return {key_of(who) for row in messages for who in (row.quoted_sender, *row.reactions) if who}


def key_of(address: str) -> str:
    """Return the key of an address, which may be one already."""
    if address.partition(":")[0] in _SERVERS:
        return address
    parsed = jid.parse(address)
    return parsed.key if parsed and address != ME else address


def name_of(contact: Contact) -> str:
    """Return what a person calls the contact."""
    return contact.name or number_of(contact.jid)


def name_of_chat(row: Conversation) -> str:
    """Return what a person calls the conversation."""
    return row.name or number_of(row.jid)


def number_of(address: str) -> str:
    """Return an address, or its key, as a person writes a number; what is no number is left as it is."""
    server, _, rest = address.partition(":")
    if server in _SERVERS:
        return f"+{rest}" if server == jid.Server.PHONE else rest
    parsed = jid.parse(address)
    if parsed is None:
        return address
    return f"+{parsed.number}" if parsed.server is jid.Server.PHONE else parsed.number
