"""Cleans content for storage in `Message.details`: snake_case names, plain integers, no raw bytes, a few kilobytes.

All input comes from senders, so every value is bounded. Content that no table describes passes through the same rules.
"""

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from conversations.evolution import coerce
from conversations.evolution.coerce import Json

MAX_BYTES = 6000  # maximum bytes of all names and values together
MAX_STRING = 4000  # maximum characters of one string
MAX_TEXTS = 20_000  # maximum characters of all texts found in content
MAX_TEXT_COUNT = 1000  # maximum number of these texts
MAX_ITEMS = 100  # maximum items of one list
MAX_NAME = 64  # maximum characters of a name
MAX_VCARD = 1_000_000  # maximum characters of a vCard before its pictures are removed
MAX_DEPTH = 10  # maximum depth of nested objects and lists

# Fields that are not stored: the context of a message is parsed apart, `token` is a credential, and the other fields
# are keys, hashes and addresses of encrypted files. `url` is left out only in an object that describes such a file.
_LEFT_OUT = frozenset({"contextInfo", "messageContextInfo", "token", "directPath", "staticUrl", "thumbnailDirectPath"})
_BYTES_NAME = re.compile(
    r"(?i)thumb(nail|data)$|thumbnailv\d$|sha256$|sidecar$|mediakey|directpath$|(master|call|enc)key$|waveform$"
    r"|(enc|ctwa)payload$|enciv$|secret$|blocklist$"
)
_FILE_MARKS = ("mediaKey", "directPath", "fileEncSha256")
_FILE_NAMES = frozenset({"url", "mediaKeyTimestamp"})
# Names of the protocol's 64-bit integers, which some versions of Evolution write as decimal strings.
_INTEGER_NAME = re.compile(
    r"(?:^|_)(?:timestamp|ts|ms|secs?|amount_1000|start_time|end_time|file_length|sticker_pack_size"
    r"|invite_expiration|vote_count|message_count|sequence_number|version)$"
)
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)")
_BASE64 = re.compile(r"(?:data:[\w/+.;=-]*,)?(?=[A-Za-z+/_-]*\d)[A-Za-z0-9+/_-]{256,}={0,2}")
_VCARD_FILE = re.compile(r"^(?:item\d+\.)?(?:PHOTO|LOGO|SOUND|KEY)[;:].*(?:\r?\n[ \t].*)*(?:\r?\n|\Z)", re.MULTILINE)

# Names, or ends of names, of fields that hold no text for people.
_NO_TEXT = re.compile(r"(?:^|_)(?:ids?|jid|lid|key|path|hash|mime_?type|type|iv|payload|secret|json)$|currency")
_MONEY = frozenset({"value", "offset"})  # members of an amount, whose numbers may be strings
_ADDRESS = re.compile(r"\S*@(?:s\.whatsapp\.net|c\.us|lid|g\.us|broadcast|newsletter|bot)")


def snake_case(name: str) -> str:
    """Return a name in snake_case, cut to `MAX_NAME` characters.

    >>> snake_case("totalAmount1000"), snake_case("businessOwnerJID")
    ('total_amount_1000', 'business_owner_jid')
    """
    return _snake_case(name[:MAX_NAME])


@lru_cache(maxsize=2048)
def _snake_case(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", _WORD_START.sub("_", name).lower()).strip("_")


def clean(content: Json, limit: int = MAX_BYTES) -> Json:
    """Return a copy of content for `Message.details`; `is_truncated` marks a copy that `limit` has shortened."""
    if not content:
        return {}
    budget = _Budget(limit)
    cleaned = _clean_object(content, MAX_DEPTH, budget)
    return {**cleaned, "is_truncated": True} if budget.is_exceeded else cleaned


def texts(value: object) -> str:
    """Return every text for people inside a JSON value, one a line, at most `MAX_TEXTS` characters."""
    found: dict[str, None] = {}
    _find_texts(value, "", MAX_DEPTH * 2, found)
    return "\n".join(found)[:MAX_TEXTS]


def is_bytes(value: object) -> bool:
    """Return whether a JSON value is an array of bytes: a Buffer, an object with index names, or a list of numbers."""
    if isinstance(value, dict):
        if value.get("type") == "Buffer" and isinstance(value.get("data"), list):
            return True
        return bool(value) and all(map(coerce.is_index, value)) and all(map(_is_byte, value.values()))
    return isinstance(value, list) and len(value) >= 16 and all(map(_is_byte, value))  # noqa: PLR2004 - shorter lists may be numbers


class _Budget:
    """The bytes that are left for stored details."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.is_exceeded = False

    def take(self, size: int) -> bool:
        """Take bytes from the budget; return whether there were as many left."""
        if size > self._left:
            self.is_exceeded = True
            return False
        self._left -= size
        return True


def _clean(value: object, depth: int, budget: _Budget) -> Any:
    """Return a value for storage; None if nothing of it is stored."""
    match value:
        case str():
            return _clean_string(value, budget)
        case bool() | int() | float():
            return _clean_number(value, budget)
        case dict() | list() if not depth:
            budget.is_exceeded = True
            return None
        case list():
            return _clean_list(value, depth, budget)
        case dict():
            return _clean_long(value, budget) if coerce.is_long(value) else _clean_object(value, depth, budget)
    return None


def _clean_number(value: Any, budget: _Budget) -> Any:
    is_storable = coerce.is_int64(value) if isinstance(value, int) else math.isfinite(value)
    return value if is_storable and budget.take(len(str(value))) else None


def _clean_long(value: Json, budget: _Budget) -> int | None:
    number = coerce.int64(value)
    return None if number is None else _clean_number(number, budget)


def _clean_object(value: Json, depth: int, budget: _Budget) -> Json:
    cleaned: Json = {}
    for raw_name, member in _members(value):
        name = snake_case(raw_name)
        if not name:
            continue
        if not budget.take(len(name) + 6):
            break
        item = _clean(_normalized(name, member), depth - 1, budget)
        if item not in (None, "", [], {}):
            cleaned[name] = item
    return cleaned


def _members(value: Json) -> Iterator[tuple[str, Any]]:
    """Yield the members of an object that may be stored."""
    if is_bytes(value):
        return
    left_out = _FILE_NAMES if any(mark in value for mark in _FILE_MARKS) else ()
    for name, member in value.items():
        if name not in _LEFT_OUT and name not in left_out and not _BYTES_NAME.search(name[-MAX_NAME:]):
            yield name, member


def _clean_list(value: list[Any], depth: int, budget: _Budget) -> list[Any]:
    if is_bytes(value):
        return []
    budget.is_exceeded = budget.is_exceeded or len(value) > MAX_ITEMS
    items = (_clean(item, depth - 1, budget) for item in value[:MAX_ITEMS] if budget.take(2))
    return [item for item in items if item not in (None, "", [], {})]


def _clean_string(value: str, budget: _Budget) -> str | None:
    if _BASE64.fullmatch(value):
        return None
    budget.is_exceeded = budget.is_exceeded or len(value) > MAX_STRING
    text = value[:MAX_STRING]
    return text if budget.take(len(text.encode("utf-8", "surrogatepass"))) else None


def _normalized(name: str, value: object) -> object:
    """Return the value of a member with its name in snake_case; an integer of the protocol may be a decimal string."""
    if not isinstance(value, str):
        return value
    if name == "vcard":
        return _without_files(value)
    number = _integer(name, value)
    return value if number is None else number


def _integer(name: str, value: str) -> int | None:
    """Return the integer in a decimal string if the protocol has an integer under the name; otherwise None."""
    return coerce.int64(value) if _INTEGER_NAME.search(name) else None


def _without_files(vcard: str) -> str:
    """Return a vCard without its embedded pictures and sounds."""
    return _VCARD_FILE.sub("", vcard[:MAX_VCARD])


def _is_byte(value: object) -> bool:
    return type(value) is int and 0 <= value < 256  # noqa: PLR2004 - a byte


def _find_texts(value: object, name: str, depth: int, found: dict[str, None]) -> None:
    if len(found) >= MAX_TEXT_COUNT or not depth:
        return
    if isinstance(value, str):
        snake_name = snake_case(name)
        if (
            value.strip()
            and not _NO_TEXT.search(snake_name)
            and _integer(snake_name, value) is None
            and not _ADDRESS.fullmatch(value)
            and not _BASE64.fullmatch(value)
        ):
            found[value[:MAX_TEXTS]] = None
    elif isinstance(value, list):
        for item in value[:MAX_TEXT_COUNT]:
            _find_texts(item, name, depth - 1, found)
    elif isinstance(value, dict) and not _MONEY.issubset(value):
        for member_name, member in _members(value):
            _find_texts(member, member_name, depth - 1, found)
