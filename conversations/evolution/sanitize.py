"""Prepares a webhook body for storage: masks credentials, and keeps databases and searches from bad characters.

A webhook body contains the API keys of the instance and of the server, and the webhook token in `destination`. A body
may also claim the name of a stored media file, which is masked: only ingestion writes such names into a body.
"""

import re
from typing import Any

from conversations.evolution.combining_marks import limit_runs
from conversations.evolution.large_json.errors import TooDeepError
from conversations.evolution.large_json.texts import MAX_TEXT_LENGTH, is_encoded
from conversations.evolution.large_json.values import LargeList
from conversations.evolution.media_names import REFERENCE, is_media_name

SECRET_FIELDS = frozenset(
    {"apikey", "api_key", "authorization", "jwt_key", "token", "access_token", "password", "x-api-key"}
)
URL_FIELDS = ("destination", "server_url")  # URLs that are stored without user, password and query string
MASK = "[redacted]"
MAX_NAME_LENGTH = 1000  # characters; the names of WhatsApp's fields have about thirty
MAX_DEPTH = 100  # levels of lists and objects; WhatsApp's messages have about fifteen
_SPECIAL_FIELDS = SECRET_FIELDS | frozenset((*URL_FIELDS, REFERENCE))
_SCALARS = frozenset((int, float, bool, type(None)))
_URL_USER = re.compile(r"//[^/@]*@")
_known_names: set[str] = set()  # names without special handling, from earlier bodies
MAX_KNOWN_NAMES, MAX_KNOWN_LENGTH = 2000, 1000  # names, and characters of an object's names


def sanitize(value: Any, levels: int = MAX_DEPTH) -> Any:
    """Remove secrets, NUL characters and lone surrogates from decoded JSON, divide long runs of marks, and return it.

    Lists and objects are changed in place, because a second copy of a large body would need much memory.

    Args:
        value: decoded JSON of any type.
        levels: the maximum number of levels of lists and objects.

    Raises:
        TooDeepError: `value` has more levels.
    """
    if isinstance(value, str):
        return _to_storable(value)
    if isinstance(value, LargeList):
        value.change(lambda item: sanitize(item, levels - 1))
    if not isinstance(value, dict | list):
        return value
    if not levels:
        raise TooDeepError
    if isinstance(value, list):
        for index in (index for index, item in enumerate(value) if type(item) not in _SCALARS):
            value[index] = sanitize(value[index], levels - 1)
    elif _has_plain_names(value):
        for name, item in value.items():
            if type(item) not in _SCALARS:
                value[name] = sanitize(item, levels - 1)
    else:
        _sanitize_names(value, levels - 1)
    return value


def _sanitize_names(value: dict[str, Any], levels: int) -> None:
    """Sanitize an object whose names need special handling; of members with equal names, the last one stays.

    Each old name is freed before the next new one is made.
    """
    members: dict[str, Any] = {}
    while value:
        name, item = value.popitem()
        name = _to_storable(name[:MAX_NAME_LENGTH])
        if name not in members:
            members[name] = _sanitize_member(name, item, levels)
    value.update(reversed(members.items()))


def _has_plain_names(value: dict[str, Any]) -> bool:
    """Return whether no member name of a JSON object needs special handling.

    `_has_plain_names` must be fast, because thumbnails are JSON objects with thousands of members.
    """
    if _known_names.issuperset(value):
        return True
    # Only ASCII names are joined, because one emoji would quadruple the memory of all names.
    if not all(map(str.isascii, value)):
        return False
    names = "".join(value)
    is_plain = "\x00" not in names and _SPECIAL_FIELDS.isdisjoint(map(str.lower, value))
    if is_plain and len(names) <= MAX_KNOWN_LENGTH and len(_known_names) < MAX_KNOWN_NAMES:
        _known_names.update(value)
    return is_plain


def _sanitize_member(name: str, value: Any, levels: int) -> Any:
    if name.lower() in SECRET_FIELDS:
        return value if value is None else MASK
    if name in URL_FIELDS and isinstance(value, str):
        return _to_storable(_URL_USER.sub("//", value.partition("?")[0]))
    storable = sanitize(value, levels)
    return MASK if name == REFERENCE and is_media_name(storable) else storable


def _to_storable(text: str) -> str:
    if len(text) > MAX_TEXT_LENGTH and not is_encoded(text):
        text = text[:MAX_TEXT_LENGTH]
    if "\x00" in text:
        text = text.replace("\x00", "")
    if text.isascii():
        return text
    if not _is_encodable(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return limit_runs(text)[:MAX_TEXT_LENGTH]


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
