"""Decodes JSON that a sender has written as a text inside of a message, as buttons and answered forms contain it.

The whole body was sanitized before, but there this JSON was a text. Its escapes become characters only here, so they
may again stand for a NUL character or half of a surrogate pair, which databases and responses reject.
"""

import json

from conversations.evolution.coerce import Json
from conversations.evolution.json_numbers import parse_float, reject_constant
from conversations.evolution.sanitize import sanitize

MAX_CHARS = 20_000


def decode_object(text: object) -> Json:
    """Return the JSON object in a text, with storable characters only; {} if the text contains no object."""
    try:
        decoded = _DECODER.decode(text) if isinstance(text, str) and len(text) <= MAX_CHARS else None
        return sanitize(decoded) if isinstance(decoded, dict) else {}
    except (ValueError, RecursionError):
        return {}


_DECODER = json.JSONDecoder(parse_constant=reject_constant, parse_float=parse_float)
