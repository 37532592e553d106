"""Removes secrets and personal data from log records: credentials, addresses, phone numbers, names, chat message texts.

Code that logs need not redact anything. Free text is searched for known patterns. Structures (dicts, lists and so on,
such as a webhook's payload) and texts that show a structure keep only values that are known to be safe. A WhatsApp
address or phone number becomes a keyed hash that is the same for the same contact. So operators can match the log
records of one contact, but cannot find out the phone number without the secret key.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import blake2s
from itertools import islice
from typing import Any

from logs.binding import BOUND, REQUEST_CONTEXT

MASK = "[redacted]"
MAX_DEPTH = 8  # how many nested levels of a structure are shown
MAX_ITEMS = 50  # how many items of each container are shown
MAX_TOTAL_ITEMS = 1000  # how many items of a structure are shown, over all its levels
MAX_TEXT_CHARS = 32 * 1024  # longer texts lose the characters in their middle

# The cache of redacted texts: how many texts are cached, and the length up to which a text is cached.
CACHE_SIZE, MAX_CACHED_CHARS = 4096, 100
MIN_BLOB_CHARS = 100  # a run of this many or more base64 characters is redacted
MIN_PHONE, MAX_PHONE = 10**9, 10**18  # an integer in this range may be a phone number

# Names in structures and in `extra` whose text values contain no personal data; the method `text` still searches
# such values for known patterns.
SAFE_NAMES = frozenset({
    "action", "channel", "code", "context", "count", "database", "duration", "duration_ms", "event",
    "event_id", "exception", "file", "function", "instance", "key", "kind", "level", "line", "logger",
    "messagetype", "method", "module", "namespace", "operation", "outcome", "path", "pattern", "process", "reason",
    "request_id", "server_version", "sql", "stack", "state", "status", "statusreason", "tag", "tags", "task",
    "thread", "tier", "timestamp", "type", "url", "user", "version",
})  # fmt: skip
# Names in `extra` whose values are personal data or secrets.
PERSONAL_NAMES = frozenset({
    "apikey", "body", "caption", "content", "conversation", "displayname", "firstname", "fullname", "lastname",
    "messagebody", "name", "number", "owner", "password", "payload", "phone", "phonenumber", "profilename", "pushname",
    "secret", "sender", "subject", "text", "title", "token", "username", "vcard",
})  # fmt: skip
SCALAR_TYPES = frozenset((str, int, float, bool, type(None)))  # types of plain values, in a set for fast checks

# --- patterns in free text; each repetition is bounded, so that no input makes a search slow --------------------------
_IN_AUTHORITY = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^\s/@'\"]{0,500}@")
# Finds every value in the query of a URL, because such a value may be a search term or a token (`?token=abc/events`).
_IN_QUERY = re.compile(r"([?&][\w.%\[\]-]{1,60}=)[^&\s\"'<>]+")
_IN_HEADER = re.compile(r"(?i)\b(Bearer|Token|Basic|Api-?Key)\s+[\w.~+/=-]{8,}")
_NAMED = re.compile(
    r"""(?ix)(\b [\w-]{0,40} (?:token|api_?key|passw(?:or)?d|secret(?:_?key)?|session_?id|authorization)
        \\?['"]? \s{0,9} [:=] \s{0,9} \\?['"]?) [^\s'",;}&\\]{4,}"""
)
_CREDENTIAL_WORDS = (
    "token",
    "key",
    "pass",
    "secret",
    "session",
    "auth",
    "bearer",
    "basic",
)  # `_IN_HEADER` and `_NAMED` match only texts with one of these words
_MODEL = re.compile(r"<([A-Z]\w{0,60}): (?:.*>|.*)")  # the repr of a Django model instance contains its str()
_BLOB = re.compile(rf"[A-Za-z0-9+/=_-]{{{MIN_BLOB_CHARS},}}")
_JID = re.compile(
    r"(?i)[\w.+-]{1,64}(?::\d{1,9})?@(?:s\.whatsapp\.net|c\.us|g\.us|lid|hosted(?:\.lid)?|newsletter|broadcast|bot)\b"
)
_DEVICE = re.compile(r"[:_].*")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_MAY_BE_PHONE = re.compile(r"[+\d][\d ().-]{8}")  # a cheap check before `_PHONE` is searched
_PHONE = re.compile(r"(?<![0-9A-Za-z.-])(?:\+\d[\d ().-]{8,18}\d|\d{10,15})(?![0-9A-Za-z-])")
_NO_DIGIT = re.compile(r"\D")

# --- texts that show a structure (repr, JSON) -------------------------------------------------------------------------
_STRUCTURE = re.compile(r"""['"]?[\[{][^'"\]}]{0,40}['"]|\([bru]?['"]|\b\w+=[bru]?['"]""")
_STRING = re.compile(
    r"""(?xs)
    (?P<name> (?<![\w.-]) ['"]? [\w.-]{1,60} ['"]? (?: \s{0,9}:\s{0,9} | = ) )?
    [bru]? (?P<string> '(?:[^'\\]|\\.)*(?:'|\\?\Z) | "(?:[^"\\]|\\.)*(?:"|\\?\Z) | (?<!\\)\\++['"].* )  # or cut off
    (?P<names> (?= \s{0,9}: ) )?
    """
)
_SQL_LITERAL = re.compile(r"'(?:[^']|'')*(?:'|\Z)")
_NAME = re.compile(r"[\w.:@+-]{1,60}\Z", re.ASCII)
_LAST_WORD = re.compile(r"[A-Za-z][a-z]{0,19}\Z")  # finds `name` in `contact_name`, and `Text` in `messageText`
_PLAIN_WORD = re.compile(r"[\w.:/<>-]{1,40}\Z", re.ASCII)

# --- tracebacks -------------------------------------------------------------------------------------------------------
# Stack frames contain only source code, and are kept. The text between stack frames is the error text of an exception.
_FRAMES = re.compile(r'(?m)^((?: *\| )?)  File ".*", line \d+.*(?:\n\1    .*)*')
# The parts of a PostgreSQL error text that quote a database row.
_ROW = re.compile(
    r"(?ms)^([ |]*(?:DETAIL|CONTEXT|HINT|LINE \d+)):.*?(?=\n[ |]*\n[ |]*(?:The above|During handling)|\n *\+-|\Z)"
)
# Only ' and " stay without a closing one: they may be apostrophes and inches.
_QUOTED = re.compile(r"""'[^'\n]*'|"[^"\n]*"|“[^”\n]*”?|»[^«\n]*«?|«[^»\n]*»?""")
_CLOSING = {"“": "”", "»": "«", "«": "»"}  # the closing quotation marks that differ from the opening ones
_CODE_WORD = re.compile(
    r"""
    [a-z0-9_<./][\w.:/<>-]{0,60}\Z | \[redacted]\Z | \Z
    | (?=.{0,60}\Z) [A-Z][A-Z0-9]* [a-z_] (?:\w*\. | [a-z0-9]*[A-Z_]) \w*\Z  # such as IntegrityError
    """,
    re.ASCII | re.VERBOSE,
)


class Redactor:
    """Redacts texts and values with the secret key of one installation."""

    def __init__(self, key: str) -> None:
        self._key = blake2s(key.encode(), person=b"logs").digest()
        self._redact_cached = lru_cache(CACHE_SIZE)(self._redact)

    def digest(self, user: str) -> str:
        """Return the keyed hash of a contact's phone number or LID."""
        return blake2s(user.encode(errors="replace"), key=self._key, digest_size=5).hexdigest()

    # --- texts --------------------------------------------------------------------------------------------------------
    def text(self, text: str) -> str:
        """Return a text without credentials, addresses, and values of structures shown in the text."""
        return self._redact_cached(text) if len(text) <= MAX_CACHED_CHARS else self._redact(truncate(text))

    def traceback(self, text: str) -> str:
        """Return a traceback with unchanged stack frames, but with the error texts of exceptions redacted."""
        text = truncate(text)
        parts, end = [], 0
        for frame in _FRAMES.finditer(text):
            parts += [self._exception_message(text[end : frame.start()]), frame[0]]
            end = frame.end()
        return "".join([*parts, self._exception_message(text[end:])])

    def _exception_message(self, text: str) -> str:
        return _QUOTED.sub(_mask_unless_code, self.text(text))

    def _redact(self, text: str) -> str:
        if "'" in text or '"' in text:
            text = _mask_structures(text)
        return self._mask_patterns(text)

    def _mask_patterns(self, text: str) -> str:
        """Apply a pattern only if a cheap check finds that the pattern may match; most texts match no pattern."""
        if "\n" in text:
            text = _ROW.sub(rf"\1: {MASK}", text)
        if "://" in text:
            text = _IN_AUTHORITY.sub(rf"\1{MASK}@", text)
        if "<" in text:
            text = _MODEL.sub(rf"<\1: {MASK}>", text)
        if "=" in text:
            text = _IN_QUERY.sub(rf"\1{MASK}", text)
        lower = text.lower()
        if any(word in lower for word in _CREDENTIAL_WORDS):
            text = _NAMED.sub(rf"\1{MASK}", _IN_HEADER.sub(rf"\1 {MASK}", text))
        if len(text) >= MIN_BLOB_CHARS:
            text = _BLOB.sub(MASK, text)
        if "@" in text:
            text = _EMAIL.sub(MASK, _JID.sub(self._hash_jid, text))
        return _PHONE.sub(self._hash_phone, text) if _MAY_BE_PHONE.search(text) else text

    def _hash_jid(self, found: re.Match[str]) -> str:
        return f"jid:{self.digest(_DEVICE.sub('', found[0].partition('@')[0]))}"

    def _hash_phone(self, found: re.Match[str]) -> str:
        return f"tel:{self.digest(_NO_DIGIT.sub('', found[0]))}"

    # --- values -------------------------------------------------------------------------------------------------------
    def argument(self, value: Any) -> Any:
        """Return an argument of a log message, redacted unless it is a text or a number, which are redacted later."""
        if is_structure(value):
            return self.structure(value)
        if isinstance(value, BaseException):
            return self.traceback(str(value))
        model = getattr(type(value), "_meta", None)  # a Django model instance, whose str() may contain a person's name
        return value if model is None else f"{model.label} {value.pk}"

    def field(self, name: str, value: Any) -> Any:
        """Return the redacted value of a log field, from `extra` or bound."""
        if isinstance(value, str):
            if name == "request_id":  # operators search for request ids
                return value
            if name == "sql":  # double quotes in SQL enclose identifiers, not values
                return self._mask_patterns(_SQL_LITERAL.sub(f"'{MASK}'", truncate(value)))
            return MASK if _is_personal(name) else self.text(value)
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return value if name in SAFE_NAMES else self._integer(value)
        return self.structure(value) if is_structure(value) else self.text(str(self.argument(value)))

    def structure(self, value: Any) -> Any:
        """Return a copy of a structure that keeps keys and numbers, but only texts that are known to be safe."""
        return self._copy(value, "", MAX_DEPTH, iter(range(MAX_TOTAL_ITEMS)))

    def _copy(self, value: Any, name: str, depth: int, budget: Iterator[int]) -> Any:
        if isinstance(value, str):
            return self.text(value) if name.lower() in SAFE_NAMES and _PLAIN_WORD.match(value) else MASK
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return self._integer(value)
        if isinstance(value, Mapping):
            return {
                self._key_text(key): self._copy(item, str(key), depth - 1, budget)
                for key, item in _limited(value.items(), depth, budget)
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self._copy(item, name, depth - 1, budget) for item in _limited(value, depth, budget)]
        return MASK

    def _integer(self, value: int) -> int | str:
        if abs(value) < MIN_PHONE:
            return value
        return self.text(str(value)) if abs(value) < MAX_PHONE else MASK

    def _key_text(self, key: object) -> str:
        name = str(key)
        return self.text(name) if _NAME.match(name) else MASK


@lru_cache(CACHE_SIZE)
def _is_personal(name: str) -> bool:
    last = _LAST_WORD.search(name)
    return name.replace("_", "").lower() in PERSONAL_NAMES or (last is not None and last[0].lower() in PERSONAL_NAMES)


def truncate(text: str) -> str:
    """Return a text; if it is longer than `MAX_TEXT_CHARS`, leave out its middle."""
    if len(text) <= MAX_TEXT_CHARS:
        return text
    return f"{text[: MAX_TEXT_CHARS // 2]}… [{len(text)} characters] …{text[-MAX_TEXT_CHARS // 2 :]}"


def is_structure(value: object) -> bool:
    """Return whether a value is a container, such as a dict or a list."""
    return type(value) not in SCALAR_TYPES and isinstance(value, Mapping | list | tuple | set | frozenset)


def _limited(items: Any, depth: int, budget: Iterator[int]) -> list[Any]:
    return [item for item in islice(items, MAX_ITEMS if depth > 0 else 0) if next(budget, None) is not None]


def _mask_structures(text: str) -> str:
    """Mask the strings in a text, starting at the first string that looks like part of a structure."""
    structure = _STRUCTURE.search(text)
    if structure is None:
        return text
    start = structure.start()
    return text[:start] + _STRING.sub(_mask_unless_safe, text[start:])


def _mask_unless_safe(found: re.Match[str]) -> str:
    """Return a string found in a structure unchanged if it is a key or a safe value; otherwise mask the string."""
    name, string = found["name"] or "", found["string"]
    content = string.strip("'\"")
    if found["names"] is not None and not name:
        is_safe = _NAME.match(content)
    else:
        is_safe = _PLAIN_WORD.match(content) if name.strip("'\": =").lower() in SAFE_NAMES else None
    if is_safe:
        return found[0]
    quote = string[0].strip("\\")
    return f"{name}{quote}{MASK}{quote}"


def _mask_unless_code(found: re.Match[str]) -> str:
    """Return a quoted part of an exception's error text unchanged if it is an identifier; mask a quoted value."""
    opening = found[0][0]
    closing = _CLOSING.get(opening, opening)
    quoted = found[0][1:].removesuffix(closing)
    before = found.string[max(0, found.start() - 100) : found.start()].rpartition("\n")[2].lstrip(" |")
    # A quoted text directly after "SomeError: " is a dict key, as in `KeyError: 'remoteJid'`. A quoted text after other
    # words is a value.
    is_value = before.endswith(" got ") or (before.endswith(": ") and " " in before[:-1])
    is_code = _CODE_WORD.match(quoted) and (not is_value or quoted[:1] in "/<[")
    return found[0] if is_code else f"{opening}{MASK}{closing}"


_format_traceback = logging.Formatter().formatException


class RedactionFilter(logging.Filter):
    """Redacts the message, traceback and fields of a log record; lets every record pass."""

    def __init__(self, key: str = "") -> None:
        super().__init__()
        self.redactor = Redactor(key)

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact a log record in place, and merge the record's arguments into its message."""
        attributes, field = vars(record), self.redactor.field
        attributes["msg"], attributes["args"] = self.redactor.text(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = _format_traceback(record.exc_info)
        if record.exc_text:
            record.exc_text = self.redactor.traceback(record.exc_text)
        for name in attributes.keys() - STANDARD_ATTRIBUTES:
            attributes[name] = field(name, attributes[name])
        if BOUND in attributes:
            attributes[BOUND] = {
                name: value if name == REQUEST_CONTEXT else field(name, value)
                for name, value in attributes[BOUND].items()
            }
        return True


# The attributes that every log record has, and the attributes that `logging` and `ServiceHandler` add.
STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", BOUND}
