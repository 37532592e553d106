"""Prepares a webhook body for storage: masks credentials and removes characters that databases reject.

A webhook body contains the API keys of the instance and of the server, and the webhook token in `destination`. A body
may also claim the name of a stored media file, which is masked: only ingestion writes such names into a body.
"""

import re
from typing import Any

from conversations.evolution.media_names import REFERENCE, is_media_name

SECRET_FIELDS = frozenset(
    {"apikey", "api_key", "authorization", "jwt_key", "token", "access_token", "password", "x-api-key"}
)
URL_FIELDS = ("destination", "server_url")  # URLs that are stored without user, password and query string
MASK = "[redacted]"
MAX_TEXT_LENGTH = 1_000_000  # characters; WhatsApp's texts have 65,536 at most, only encoded files are longer
_ENCODED = re.compile(r"[\w+/=:;,. \r\n-]*", re.ASCII)  # base64, or a data URL of base64
MAX_DEPTH = 100  # levels of lists and objects; WhatsApp's messages have about fifteen
_SPECIAL_FIELDS = SECRET_FIELDS | frozenset((*URL_FIELDS, REFERENCE))
_SCALARS = (int, float, bool, type(None))


class TooDeepError(ValueError):
    """Raised for JSON with more than `MAX_DEPTH` levels."""


def sanitize(value: Any, levels: int = MAX_DEPTH) -> Any:
    """Remove secrets, NUL characters and lone surrogates from decoded JSON, and return it.

    Lists and objects are changed in place, because a second copy of a large body would need much memory.

    Args:
        value: decoded JSON of any type.
        levels: the maximum number of levels of lists and objects.

    Raises:
        TooDeepError: `value` has more levels.
    """
    if isinstance(value, str):
        return _to_storable(value)
    if not isinstance(value, dict | list):
        return value
    if not levels:
        raise TooDeepError
    if isinstance(value, list):
        value[:] = [item if type(item) in _SCALARS else sanitize(item, levels - 1) for item in value]
    elif _has_plain_names(value):
        for name, item in value.items():
            if type(item) not in _SCALARS:
                value[name] = sanitize(item, levels - 1)
    else:
        names = ((_to_storable(name), item) for name, item in value.items())
        members = {name: _sanitize_member(name, item, levels - 1) for name, item in names}
        value.clear()
        value.update(members)
    return value


def _has_plain_names(value: dict[str, Any]) -> bool:
    """Return whether no member name of a JSON object needs special handling.

    `_has_plain_names` must be fast, because thumbnails are JSON objects with thousands of members.
    """
    names = "".join(value)
    return names.isascii() and "\x00" not in names and _SPECIAL_FIELDS.isdisjoint(map(str.lower, value))


def _sanitize_member(name: str, value: Any, levels: int) -> Any:
    if name.lower() in SECRET_FIELDS:
        return value if value is None else MASK
    if name in URL_FIELDS and isinstance(value, str):
        return _to_storable(re.sub(r"//[^/@]*@", "//", value.partition("?")[0]))
    storable = sanitize(value, levels)
    return MASK if name == REFERENCE and is_media_name(storable) else storable


def _to_storable(text: str) -> str:
    if len(text) > MAX_TEXT_LENGTH and not _ENCODED.fullmatch(text):
        text = text[:MAX_TEXT_LENGTH]
    if "\x00" in text:
        text = text.replace("\x00", "")
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
