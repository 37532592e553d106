"""Cursors: a position, with the history and the selection that it belongs to, as one opaque text."""

import base64
import binascii
import re
from hashlib import blake2b
from typing import NamedTuple

from conversations.changes.log import Position

_FORM = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{1,16})-([0-9a-f]{16})-([0-9a-f]{8})", re.ASCII)


class UnknownCursor(Exception):
    """The text is no cursor, or a cursor of a history that this database does not continue."""


class Cursor(NamedTuple):
    """What a cursor contains.

    Attributes:
        position: the reader knows all changes up to here.
        history: the history that the position belongs to (`conversations.changes.history`).
        selection: the fingerprint of the changes that the reader asks for and may see.
    """

    position: Position
    history: str
    selection: str


def encode(cursor: Cursor) -> str:
    """Return a cursor as a text of letters, digits, `-` and `_`."""
    (transaction, number), history, selection = cursor
    text = f"{transaction:x}-{number:x}-{history}-{selection}"
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(text: str) -> Cursor:
    """Return the cursor that a text contains.

    Raises:
        UnknownCursor: the text is no cursor.
    """
    try:
        found = _FORM.fullmatch(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    except (binascii.Error, ValueError):
        found = None
    if found is None:
        raise UnknownCursor
    transaction, number, history, selection = found.groups()
    return Cursor(Position(_bounded(transaction), _bounded(number)), history, selection)


def _bounded(digits: str) -> int:
    number = int(digits, 16)
    if number >= 2**63:
        raise UnknownCursor
    return number


def fingerprint(*parts: object) -> str:
    """Return a short hash of what a reader asks for and may see."""
    return blake2b(repr(parts).encode(), digest_size=4).hexdigest()
