"""Reads the names of shared contacts; a vCard has the name that WhatsApp shows if a message states none."""

import re

from conversations.evolution import coerce
from conversations.evolution.details import MAX_ITEMS, MAX_VCARD

MAX_CARD_NAME = 255  # maximum characters of a name
_FOLD = re.compile(r"\r?\n[ \t]")  # a line break inside of a long line
_LINE = r"(?im)^(?:item\d+\.)?{}(?:;[^:\n]*)?:(.*)$"
_FULL_NAME, _NAME_PARTS, _ORGANIZATION = (re.compile(_LINE.format(name)) for name in ("FN", "N", "ORG"))
_SEPARATOR = re.compile(r"(?<!\\);")
_ESCAPED = re.compile(r"\\(.)")


def contact_name(content: object) -> str:
    """Return the name of a `contactMessage`: its `displayName`, or else the name in its vCard; "" if it has none."""
    fields = content if isinstance(content, dict) else {}
    return coerce.text(fields.get("displayName")) or vcard_name(fields.get("vcard"))


def contact_names(content: object) -> str:
    """Return the name of a `contactsArrayMessage`, or else the names of its contacts, one a line."""
    fields = content if isinstance(content, dict) else {}
    contacts = fields.get("contacts")
    names = map(contact_name, contacts[:MAX_ITEMS] if isinstance(contacts, list) else [])
    return coerce.text(fields.get("displayName")) or "\n".join(filter(None, names))


def vcard_name(vcard: object) -> str:
    r"""Return the formatted name in a vCard, or else the first and last name, or the organization; "" if it has none.

    >>> vcard_name("BEGIN:VCARD\nN:Souza;Ana;;;\nEND:VCARD")
    'Ana Souza'
    """
    text = _FOLD.sub("", coerce.text(vcard, MAX_VCARD))
    full_name, organization = _values(_FULL_NAME, text), _values(_ORGANIZATION, text)
    last_first = _values(_NAME_PARTS, text)
    return next(filter(None, (" ".join(part) for part in (full_name, last_first[1::-1], organization))), "")


def _values(line: re.Pattern[str], text: str) -> list[str]:
    """Return the parts of the first line of this name that are not empty."""
    found = line.search(text)
    parts = _SEPARATOR.split(found[1][:MAX_CARD_NAME].strip()) if found else []
    return [part for raw in parts if (part := _ESCAPED.sub(r"\1", raw).strip())]
