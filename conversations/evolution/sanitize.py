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
_SPECIAL_FIELDS = SECRET_FIELDS | frozenset((*URL_FIELDS, REFERENCE))
_SCALARS = (int, float, bool, type(None))


def sanitize(value: Any) -> Any:
    """Return a copy of decoded JSON without secrets, NUL characters and lone surrogates.

    Raises:
        RecursionError: `value` is nested too deeply for Python's stack.
    """
    if isinstance(value, dict):
        if _has_plain_names(value):
            return {name: item if type(item) in _SCALARS else sanitize(item) for name, item in value.items()}
        members = ((_to_storable(name), item) for name, item in value.items())
        return {name: _sanitize_member(name, item) for name, item in members}
    if isinstance(value, list):
        return [sanitize(item) for item in value]
    return _to_storable(value) if isinstance(value, str) else value


def _has_plain_names(value: dict[str, Any]) -> bool:
    """Return whether no member name of a JSON object needs special handling.

    `_has_plain_names` must be fast, because thumbnails are JSON objects with thousands of members.
    """
    names = "".join(value)
    return names.isascii() and "\x00" not in names and _SPECIAL_FIELDS.isdisjoint(map(str.lower, value))


def _sanitize_member(name: str, value: Any) -> Any:
    if name.lower() in SECRET_FIELDS:
        return value if value is None else MASK
    if name in URL_FIELDS and isinstance(value, str):
        return _to_storable(re.sub(r"//[^/@]*@", "//", value.partition("?")[0]))
    storable = sanitize(value)
    return MASK if name == REFERENCE and is_media_name(storable) else storable


def _to_storable(text: str) -> str:
    if "\x00" in text:
        text = text.replace("\x00", "")
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
