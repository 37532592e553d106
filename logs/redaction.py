"""Keeps secrets and people out of every record: credentials, addresses and phone numbers, names, what was written.

Who logs does not have to remember. In texts it finds what can be told by its form; in structures, such as a payload,
and in texts that show one, only what is known to be harmless stays. A WhatsApp address or a phone number becomes a
keyed hash, the same one for the same contact: lines about one contact can be matched, and nobody can be looked up
without the key.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import blake2s
from itertools import islice
from typing import Any

from logs.binding import AREA, BOUND

MASK = "[redacted]"
DEEPEST = 8  # levels of a structure that are shown
WIDEST = 50  # items of a structure that are shown, at each level
MOST = 1000  # items of a structure that are shown, in all
LONGEST = 32 * 1024  # characters of a text that are shown
SHORT, REMEMBERED = 100, 4096  # characters and number of texts that are remembered, for most come again
BLOB = 100  # characters without a space
PHONE = 10**9  # a number from here on may be somebody's

# Names of a structure, and of `extra`, whose texts say nothing about anybody; `text` looks at them all the same.
HARMLESS = frozenset({
    "action", "area", "channel", "code", "context", "count", "database", "duration", "duration_ms", "event",
    "event_id", "exception", "file", "function", "instance", "key", "kind", "level", "line", "logger",
    "messagetype", "method", "module", "namespace", "operation", "outcome", "path", "pattern", "process", "reason",
    "request_id", "server_version", "sql", "stack", "state", "status", "statusreason", "tag", "tags", "task",
    "thread", "tier", "timestamp", "type", "url", "user", "version",
})  # fmt: skip
# Of `extra`, whose names the code chooses: those that hold what people are called and what they say.
PERSONAL = frozenset({
    "apikey", "body", "caption", "content", "conversation", "displayname", "firstname", "fullname", "lastname",
    "messagebody", "name", "number", "owner", "password", "payload", "phone", "phonenumber", "profilename", "pushname",
    "secret", "sender", "subject", "text", "title", "token", "username", "vcard",
})  # fmt: skip
SCALARS = frozenset((str, int, float, bool, type(None)))  # looked up first, for it is the quicker way

# --- what can be told by its form; each search is bounded, for a text may be made to be slow to search ----------------
_IN_AUTHORITY = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^\s/@'\"]{0,500}@")
# The by-events form `?token=abc/messages-upsert` too, with its suffix; and what somebody looked for.
_IN_QUERY = re.compile(r"([?&][\w.%\[\]-]{1,60}=)[^&\s\"'<>]+")
_IN_HEADER = re.compile(r"(?i)\b(Bearer|Token|Basic|Api-?Key)\s+[\w.~+/=-]{8,}")
_NAMED = re.compile(
    r"""(?ix)(\b [\w-]{0,40} (?:token|api_?key|passw(?:or)?d|secret(?:_?key)?|session_?id|authorization)
        \\?['"]? \s{0,9} [:=] \s{0,9} \\?['"]?) [^\s'",;}&\\]{4,}"""
)
_CREDENTIALS = ("token", "key", "pass", "secret", "session", "auth", "bearer", "basic")  # one is in all of the above
_MODEL = re.compile(r"<([A-Z]\w{0,60}): (?:.*>|.*)")  # as Django shows one: with what it is called
_BLOB = re.compile(rf"[A-Za-z0-9+/=_-]{{{BLOB},}}")
_JID = re.compile(
    r"(?i)[\w.+-]{1,64}(?::\d{1,9})?@(?:s\.whatsapp\.net|c\.us|g\.us|lid|hosted(?:\.lid)?|newsletter|broadcast|bot)\b"
)
_DEVICE = re.compile(r"[:_].*")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_MAY_BE_PHONE = re.compile(r"[+\d][\d ().-]{8}")  # which is quicker to search for
_PHONE = re.compile(r"(?<![0-9A-Za-z.-])(?:\+\d[\d ().-]{8,18}\d|\d{10,15})(?![0-9A-Za-z-])")
_NO_DIGIT = re.compile(r"\D")

# --- texts that show a structure, as `repr` and JSON do ---------------------------------------------------------------
_STRUCTURE = re.compile(r"""['"]?[\[{][^'"\]}]{0,40}['"]|\([bru]?['"]|\b\w+=[bru]?['"]""")
_STRING = re.compile(
    r"""(?xs)
    (?P<name> (?<![\w.-]) ['"]? [\w.-]{1,60} ['"]? (?: \s{0,9}:\s{0,9} | = ) )?
    [bru]? (?P<string> '(?:[^'\\]|\\.)*(?:'|\\?\Z) | "(?:[^"\\]|\\.)*(?:"|\\?\Z) | \\+['"].* )  # it may be cut short
    (?P<names> (?= \s{0,9}: ) )?
    """
)
_LITERAL = re.compile(r"'(?:[^']|'')*(?:'|\Z)")  # of SQL
_NAME = re.compile(r"[\w.:@+-]{1,60}\Z", re.ASCII)
_LAST_WORD = re.compile(r"[A-Za-z][a-z]*\Z")  # of `contact_name` and `messageText`
_PLAIN_WORD = re.compile(r"[\w.:/<>-]{1,40}\Z", re.ASCII)

# --- tracebacks -------------------------------------------------------------------------------------------------------
# Where it happened: source code, which says nothing about anybody. What is between is what exceptions say.
_FRAMES = re.compile(r'(?m)^((?: *\| )?)  File ".*", line \d+.*(?:\n\1    .*)*')
# Where a database quotes a row.
_ROW = re.compile(
    r"(?ms)^([ |]*(?:DETAIL|CONTEXT|HINT|LINE \d+)):.*?(?=\n[ |]*\n[ |]*(?:The above|During handling)|\n *\+-|\Z)"
)
_QUOTED = re.compile(r"""'([^'\n]*)'|"([^"\n]*)"|“([^”\n]*)”|»([^«\n]*)«|«([^»\n]*)»""")
_CODE_WORD = re.compile(
    r"[a-z0-9_<./][\w.:/<>-]{0,60}\Z | (?=.{0,60}\Z)[A-Z]\w*[a-z_]\w*[A-Z_.]\w*\Z | \[redacted]\Z | \Z",
    re.ASCII | re.VERBOSE,
)


class Redactor:
    """Redacts, with one site's key."""

    def __init__(self, key: str) -> None:
        self._key = blake2s(key.encode(), person=b"logs").digest()
        self._short = lru_cache(REMEMBERED)(self._redacted)

    def digest(self, user: str) -> str:
        """Return what stands for a contact: the keyed hash of its number or its LID."""
        return blake2s(user.encode(errors="replace"), key=self._key, digest_size=5).hexdigest()

    # --- texts --------------------------------------------------------------------------------------------------------
    def text(self, text: str) -> str:
        """Return a text without the credentials, the addresses, and what structures in it say."""
        return self._short(text) if len(text) <= SHORT else self._redacted(cut(text))

    def trace(self, text: str) -> str:
        """Return a traceback whose exceptions say what went wrong, and not with whose data."""
        parts, end = [], 0
        for frame in _FRAMES.finditer(text):
            parts += [self._said(text[end : frame.start()]), frame[0]]
            end = frame.end()
        return "".join([*parts, self._said(text[end:])])

    def _said(self, text: str) -> str:
        return _QUOTED.sub(_unless_code, self.text(text))

    def _redacted(self, text: str) -> str:
        if "'" in text or '"' in text:
            text = _without_structures(text)
        return self._without_secrets(text)

    def _without_secrets(self, text: str) -> str:
        """Look for each thing only where a quicker look says that there may be one: most texts have nothing in them."""
        if "\n" in text:
            text = _ROW.sub(rf"\1: {MASK}", text)
        if "://" in text:
            text = _IN_AUTHORITY.sub(rf"\1{MASK}@", text)
        if "<" in text:
            text = _MODEL.sub(rf"<\1: {MASK}>", text)
        if "=" in text:
            text = _IN_QUERY.sub(rf"\1{MASK}", text)
        lower = text.lower()
        if any(word in lower for word in _CREDENTIALS):
            text = _NAMED.sub(rf"\1{MASK}", _IN_HEADER.sub(rf"\1 {MASK}", text))
        if len(text) >= BLOB:
            text = _BLOB.sub(MASK, text)
        if "@" in text:
            text = _EMAIL.sub(MASK, _JID.sub(self._address, text))
        return _PHONE.sub(self._number, text) if _MAY_BE_PHONE.search(text) else text

    def _address(self, found: re.Match[str]) -> str:
        return f"jid:{self.digest(_DEVICE.sub('', found[0].partition('@')[0]))}"

    def _number(self, found: re.Match[str]) -> str:
        return f"tel:{self.digest(_NO_DIGIT.sub('', found[0]))}"

    # --- values -------------------------------------------------------------------------------------------------------
    def argument(self, value: Any) -> Any:
        """Return what a message shows of one of its arguments, if it is more than a text or a number."""
        if is_structure(value):
            return self.structure(value)
        if isinstance(value, BaseException):
            return self.trace(str(value))
        model = getattr(type(value), "_meta", None)  # Django's, whose text form has people's names
        return value if model is None else f"{model.label} {value.pk}"

    def field(self, name: str, value: Any) -> Any:
        """Return a field that was added to a record, redacted."""
        if isinstance(value, str):
            if name == "request_id":  # by which everything is found again
                return value
            if name == "sql":  # whose double quotes are around names
                return self._without_secrets(_LITERAL.sub(f"'{MASK}'", cut(value)))
            return MASK if _is_personal(name) else self.text(value)
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return value if name in HARMLESS else self._integer(value)
        return self.structure(value) if is_structure(value) else self.text(str(self.argument(value)))

    def structure(self, value: Any) -> Any:
        """Return a copy of a structure, with its form, its numbers, and only its harmless texts."""
        return self._shown(value, "", DEEPEST, iter(range(MOST)))

    def _shown(self, value: Any, name: str, depth: int, budget: Iterator[int]) -> Any:
        if isinstance(value, str):
            return self.text(value) if name.lower() in HARMLESS and _PLAIN_WORD.match(value) else MASK
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return self._integer(value)
        if isinstance(value, Mapping):
            return {
                self._name(key): self._shown(one, str(key), depth - 1, budget)
                for key, one in _some(value.items(), depth, budget)
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self._shown(one, name, depth - 1, budget) for one in _some(value, depth, budget)]
        return MASK

    def _integer(self, value: int) -> int | str:
        if abs(value) < PHONE:
            return value
        return self.text(str(value)) if abs(value) < PHONE**2 else MASK

    def _name(self, key: object) -> str:
        name = str(key)
        return self.text(name) if _NAME.match(name) else MASK


@lru_cache(REMEMBERED)
def _is_personal(name: str) -> bool:
    last = _LAST_WORD.search(name)
    return name.replace("_", "").lower() in PERSONAL or (last is not None and last[0].lower() in PERSONAL)


def cut(text: str) -> str:
    """Return a text without its middle, if it is very long."""
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST // 2]}… [{len(text)} characters] …{text[-LONGEST // 2 :]}"


def is_structure(value: object) -> bool:
    """Whether a value holds others."""
    return type(value) not in SCALARS and isinstance(value, Mapping | list | tuple | set | frozenset)


def _some(items: Any, depth: int, budget: Iterator[int]) -> list[Any]:
    return [item for item in islice(items, WIDEST if depth > 0 else 0) if next(budget, None) is not None]


def _without_structures(text: str) -> str:
    structure = _STRUCTURE.search(text)
    if structure is None:
        return text
    start = structure.start()
    return text[:start] + _STRING.sub(_unless_harmless, text[start:])


def _unless_harmless(found: re.Match[str]) -> str:
    """Return a string of a structure as it is, if it names something or is known to be harmless."""
    name, string = found["name"] or "", found["string"]
    said = string.strip("'\"")
    if found["names"] is not None and not name:
        is_harmless = _NAME.match(said)
    else:
        is_harmless = _PLAIN_WORD.match(said) if name.strip("'\": =").lower() in HARMLESS else None
    if is_harmless:
        return found[0]
    quote = string[0].strip("\\")
    return f"{name}{quote}{MASK}{quote}"


def _unless_code(found: re.Match[str]) -> str:
    """Return what is quoted as it is, if it is a word of the code, and not the value that something was given."""
    quoted = found[0][1:-1]
    before = found.string[max(0, found.start() - 100) : found.start()].rpartition("\n")[2].lstrip(" |")
    # A class stands before a colon alone: `KeyError: 'remoteJid'`.
    is_value = before.endswith(" got ") or (before.endswith(": ") and " " in before[:-1])
    is_code = _CODE_WORD.match(quoted) and (not is_value or quoted[:1] in "/<[")
    return found[0] if is_code else f"{found[0][0]}{MASK}{found[0][-1]}"


_traceback = logging.Formatter().formatException


class RedactionFilter(logging.Filter):
    """Redacts a record's message, its traceback and its fields; always lets the record pass."""

    def __init__(self, key: str = "") -> None:
        super().__init__()
        self.redactor = Redactor(key)

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace what the record says by its redacted form; its arguments are spent."""
        said, field = vars(record), self.redactor.field
        said["msg"], said["args"] = self.redactor.text(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = _traceback(record.exc_info)
        if record.exc_text:
            record.exc_text = self.redactor.trace(record.exc_text)
        for name in said.keys() - STANDARD:
            said[name] = field(name, said[name])
        if BOUND in said:
            said[BOUND] = {name: value if name == AREA else field(name, value) for name, value in said[BOUND].items()}
        return True


# What every record has, and what logging and the handler add to it.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", BOUND}
