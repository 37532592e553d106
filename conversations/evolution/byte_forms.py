"""Decodes bytes in every form that webhook bodies have: base64, a JSON array, and the two forms of Node.js buffers."""

import base64
import binascii
from urllib.parse import unquote

from conversations.evolution.coerce import is_index

BYTE = 256
_SPACES = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
# From the URL-safe alphabet to the standard one, without white space. A list of the parts between spaces would take
# many times the memory of the text.
_STANDARD = str.maketrans("-_", "+/", _SPACES)


def decode(encoded: object) -> bytes:
    """Return the bytes in a JSON value; b"" if they cannot be decoded.

    Base64 may be a data URL, in the URL-safe alphabet, percent-encoded, broken into lines or without padding. Bytes may
    also be a JSON array of numbers, or an object of numbers by index, as Node.js writes its buffers.
    """
    if isinstance(encoded, str):
        return _decode_base64(encoded) or _decode_base64(_normalize(encoded))
    numbers = encoded.get("data", encoded) if isinstance(encoded, dict) else encoded
    if isinstance(numbers, dict) and numbers and all(map(is_index, numbers)):
        numbers = [numbers[index] for index in sorted(numbers, key=int)]
    if isinstance(numbers, list) and all(type(number) is int and 0 <= number < BYTE for number in numbers):
        return bytes(numbers)
    return b""


def _decode_base64(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _normalize(encoded: str) -> str:
    """Return base64 of any form in its standard form: without prefix and white space, and with padding."""
    if encoded[:5].lower() == "data:":
        encoded = encoded.partition(",")[2]
    encoded = encoded.strip("\"'").replace("\\r", "").replace("\\n", "")  # line breaks and quotes of JSON within JSON
    plain = unquote(encoded).translate(_STANDARD).rstrip("=")
    return plain + "=" * (-len(plain) % 4)
