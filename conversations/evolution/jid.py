"""WhatsApp addresses: what a JID names, and a key under which equal addresses compare equal.

One phone number can be written in two ways where a country lengthened its mobile numbers: Brazil's ninth digit, and
the 1 and the 9 that WhatsApp puts into Mexico's and Argentina's. Both ways have one key.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class Server(StrEnum):
    """What kind of thing an address names; the first part of its key."""

    PHONE = "phone"
    LID = "lid"
    GROUP = "group"
    BROADCAST = "broadcast"
    STATUS = "status"
    NEWSLETTER = "newsletter"
    OTHER = "other"


_SERVERS = {
    "s.whatsapp.net": Server.PHONE,
    "c.us": Server.PHONE,
    "hosted": Server.PHONE,
    "lid": Server.LID,
    "hosted.lid": Server.LID,
    "g.us": Server.GROUP,
    "broadcast": Server.BROADCAST,
    "newsletter": Server.NEWSLETTER,
}
_CANONICAL_HOST = {Server.PHONE: "s.whatsapp.net", Server.LID: "lid"}
_BY_WORD = {str(server): server for server in Server}
_PERSONS = (f"{Server.PHONE}:", f"{Server.LID}:")
CACHE_SIZE = 20_000  # texts; each address is read many times in a batch, and again in the next one
_LONGEST = 100  # characters of a JID
_LONGEST_NUMBER = 30  # digits; a phone number has 15 at most

# (a pattern of the longer form, what the shorter one is made of)
_VARIANTS = (
    (re.compile(r"55(\d\d)9([6-9]\d{7})"), r"55\1\2"),
    (re.compile(r"521(\d{10})"), r"52\1"),
    (re.compile(r"549(\d{10})"), r"54\1"),
)


@dataclass(frozen=True, order=True)
class Address:
    """One address: `key` is its identity, `jid` the way it was written (without a device)."""

    key: str
    jid: str

    @property
    def server(self) -> Server:
        """What kind of thing it names."""
        return _BY_WORD[self.key.partition(":")[0]]

    @property
    def is_person(self) -> bool:
        """Whether it names one person, who may have other addresses too."""
        return self.key.startswith(_PERSONS)

    @property
    def number(self) -> str:
        """The part before the @."""
        return self.jid.partition("@")[0]


def is_person_key(key: str) -> bool:
    """Say whether a key is a person's address's; "" counts as one, for it stands for some direct chat."""
    return not key or key.startswith(_PERSONS)


def parse(text: object) -> Address | None:
    """Read a JID, or bare digits as a phone number; None for what is no address.

    The device (`:12`) and the agent (`_1`) are dropped, legacy `@c.us` becomes `@s.whatsapp.net`.
    """
    return _parsed(text) if isinstance(text, str) and 0 < len(text) <= _LONGEST else None


@lru_cache(maxsize=CACHE_SIZE)
def _parsed(text: str) -> Address | None:
    user, _, host = text.strip().partition("@")
    host = host.lower()
    user = re.sub(r"(_\d+)?(:\d+)?$", "", user) if host not in ("g.us", "newsletter") else user
    if not user:
        return None
    if not host:
        if not user.isdecimal():
            return None
        host = "s.whatsapp.net"
    if (user, host) == ("status", "broadcast"):
        return Address("status:status", "status@broadcast")
    server = _SERVERS.get(host, Server.OTHER)
    if server in _CANONICAL_HOST and not (user.isascii() and user.isdecimal() and len(user) <= _LONGEST_NUMBER):
        return None
    host = _CANONICAL_HOST.get(server, host)
    name = _shortest(user) if server is Server.PHONE else user
    key = f"{server}:{name}" if server is not Server.OTHER else f"{server}:{user}@{host}"
    return Address(key, f"{user}@{host}")


def _shortest(number: str) -> str:
    for longer, shorter in _VARIANTS:
        if match := longer.fullmatch(number):
            return match.expand(shorter)
    return number


def preferred_jid(jids: list[str]) -> str:
    """Return the address to show and to write to: a phone number before a LID, the long form before the short one.

    The choice does not depend on the order of `jids`; "" when there are none.
    """
    return max(jids, key=lambda jid: (not jid.endswith("@lid"), len(jid), jid), default="")
