"""Parses WhatsApp addresses (JIDs); each address gets a kind and a normalized key by which addresses are compared.

Some phone numbers have two forms. The longer form of a phone number contains Brazil's ninth digit, or the 1 (Mexico) or
9 (Argentina) that WhatsApp inserts. Both forms of a phone number have the same key; see docs/decisions/identity.md.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache


class AddressKind(StrEnum):
    """The kind of an address, derived from the part of the JID after the @; each value is a prefix of address keys."""

    PHONE = "phone"
    LID = "lid"
    GROUP = "group"
    BROADCAST = "broadcast"
    STATUS = "status"
    NEWSLETTER = "newsletter"
    OTHER = "other"


_SERVER_BY_HOST = {
    "s.whatsapp.net": AddressKind.PHONE,
    "c.us": AddressKind.PHONE,
    "hosted": AddressKind.PHONE,
    "lid": AddressKind.LID,
    "hosted.lid": AddressKind.LID,
    "g.us": AddressKind.GROUP,
    "broadcast": AddressKind.BROADCAST,
    "newsletter": AddressKind.NEWSLETTER,
}
_CANONICAL_HOST = {AddressKind.PHONE: "s.whatsapp.net", AddressKind.LID: "lid"}
_HOST_BY_KIND = {str(kind): host for host, kind in _SERVER_BY_HOST.items() if kind not in _CANONICAL_HOST}
_SERVER_BY_PREFIX = {str(server): server for server in AddressKind}
_PERSON_PREFIXES = (f"{AddressKind.PHONE}:", f"{AddressKind.LID}:")
CACHE_SIZE = 20_000  # maximum number of cached parse results, kept because events repeat the same JIDs
_MAX_JID_LENGTH = 100  # maximum characters of a JID
_MAX_NUMBER_LENGTH = 30  # maximum digits of a phone number or LID (real phone numbers have at most 15)

# (pattern of a phone number's longer form, replacement template of the shorter form)
_NUMBER_FORMS = (
    (re.compile(r"55(\d\d)9([6-9]\d{7})"), r"55\1\2"),
    (re.compile(r"521(\d{10})"), r"52\1"),
    (re.compile(r"549(\d{10})"), r"54\1"),
)


@dataclass(frozen=True, order=True)
class Address:
    """A parsed WhatsApp address.

    Attributes:
        key: the normalized address, by which addresses are compared.
        jid: the JID as received, but without the device number and with the current name of its host.
        lid: of a phone number, the address key of the LID that the same event shows for it; "" if it shows none.
    """

    key: str
    jid: str
    lid: str = ""

    @cached_property
    def kind(self) -> AddressKind:
        """The kind of the address."""
        return _SERVER_BY_PREFIX[self.key.partition(":")[0]]

    @cached_property
    def is_person(self) -> bool:
        """Whether the address belongs to a person; a person may have several addresses."""
        return self.key.startswith(_PERSON_PREFIXES)

    @property
    def number(self) -> str:
        """The part of the JID before the @."""
        return self.jid.partition("@")[0]


def is_person_key(key: str) -> bool:
    """Return whether an address key belongs to a person; true for "", which stands for an unknown direct chat."""
    return not key or key.startswith(_PERSON_PREFIXES)


def parse(text: object) -> Address | None:
    """Parse a JID, or a string of digits as a phone number; return None if `text` is not an address.

    The device number (`:12`) and the agent number (`_1`) are removed from a JID. The legacy host `c.us` is replaced
    with `s.whatsapp.net`.
    """
    return _parse(text) if isinstance(text, str) and 0 < len(text) <= _MAX_JID_LENGTH else None


def key_of(text: object) -> str:
    """Return the address key of a JID; "" if `text` is not an address."""
    address = parse(text)
    return address.key if address is not None else ""


def jid_of(key: str) -> str:
    """Return the JID with an address key, which does not belong to a person."""
    kind, _, name = key.partition(":")
    if kind == AddressKind.OTHER:
        return name
    return f"{name}@{_HOST_BY_KIND.get(kind, AddressKind.BROADCAST)}"


@lru_cache(maxsize=CACHE_SIZE)
def _parse(text: str) -> Address | None:
    user, _, host = text.strip().partition("@")
    host = host.lower()
    user = re.sub(r"(_\d+)?(:\d+)?$", "", user) if host not in ("g.us", "newsletter") else user
    if not user or not host.isascii():  # the lower case of other characters may be longer
        return None
    if not host:
        if not user.isdecimal():
            return None
        host = "s.whatsapp.net"
    if (user, host) == ("status", "broadcast"):
        return Address("status:status", "status@broadcast")
    server = _SERVER_BY_HOST.get(host, AddressKind.OTHER)
    if server in _CANONICAL_HOST and not (user.isascii() and user.isdecimal() and len(user) <= _MAX_NUMBER_LENGTH):
        return None
    host = _CANONICAL_HOST.get(server, host)
    name = _shorter_form(user) if server is AddressKind.PHONE else user
    key = f"{server}:{name}" if server is not AddressKind.OTHER else f"{server}:{user}@{host}"
    return Address(key, f"{user}@{host}")


def _shorter_form(number: str) -> str:
    for longer, shorter in _NUMBER_FORMS:
        if match := longer.fullmatch(number):
            return match.expand(shorter)
    return number


def preferred_jid(jids: list[str]) -> str:
    """Return the best of a person's JIDs to show: a phone number rather than a LID, in its longer form if known.

    The result does not depend on the order of `jids`, and is "" if `jids` is empty.
    """
    return max(jids, key=lambda jid: (not jid.endswith("@lid"), len(jid), jid), default="")
