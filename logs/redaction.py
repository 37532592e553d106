"""Keeps secrets and people out of every record: credentials, addresses and phone numbers, names, what was written.

Who logs does not have to remember. In texts it finds what can be told by its form; in structures, such as a payload,
only what is known to be harmless stays. A WhatsApp address or a phone number becomes a keyed hash, the same one for the
same contact: lines about one contact can be matched, and nobody can be looked up without the key.
"""

import logging
import re
from collections.abc import Mapping
from hashlib import blake2s
from typing import Any

from logs.binding import AREA, BOUND

MASK = "[redacted]"
DEEPEST = 8  # levels of a structure that are shown
LONGEST = 50  # items of a structure that are shown

# Fields of a structure, and of `extra`, whose texts say nothing about anybody; `text` looks at them all the same.
HARMLESS = frozenset({
    "action", "area", "channel", "code", "context", "count", "database", "duration", "duration_ms", "event",
    "event_id", "exception", "file", "function", "instance", "key", "kind", "level", "line", "logger",
    "messagetype", "method", "module", "namespace", "operation", "outcome", "path", "pattern", "process", "reason",
    "request_id", "server_version", "sql", "stack", "state", "status", "statusreason", "tag", "tags", "task",
    "thread", "tier", "timestamp", "type", "url", "user", "version",
})  # fmt: skip
# Of `extra`, whose fields the code chooses: those that hold what people are called and what they say.
PERSONAL = frozenset({
    "apikey", "api_key", "body", "caption", "content", "conversation", "message_body", "name", "number", "owner",
    "password", "payload", "phone", "profile_name", "profilename", "pushname", "push_name", "secret", "sender",
    "subject", "text", "title", "token",
})  # fmt: skip

_IN_AUTHORITY = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@'\"]*:[^\s/@'\"]*@")
# `?token=abc`, `&apikey=abc`, and the by-events form `?token=abc/messages-upsert`, whose suffix goes too.
_IN_URL = re.compile(r"(?i)([?&](?:[\w-]*token|api_?key|key|password|secret)=)[^&\s\"']+")
_IN_HEADER = re.compile(r"(?i)\b(Bearer|Token|Basic)\s+[\w.~+/=-]{8,}")
_NAMED = re.compile(
    r"""(?ix)(['"]? \b [\w-]* (?:token|api_?key|password|secret) ['"]? \s* [:=] \s*) (['"]?) [^\s'",}&]{4,} \2"""
)
_JID = re.compile(
    r"(?i)[\w.+-]+(?::\d+)?@(?:s\.whatsapp\.net|c\.us|g\.us|lid|hosted(?:\.lid)?|newsletter|broadcast|bot)\b"
)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\w.-])(?:\+\d[\d ().-]{8,18}\d|\d{10,15})(?![\w-])")
SCALARS = frozenset((str, int, float, bool, type(None)))  # looked up first, for it is the quicker way
_NO_DIGIT = re.compile(r"\D")
_BLOB = re.compile(r"[A-Za-z0-9+/=_-]{100,}")
_SUBSTITUTIONS: tuple[tuple[re.Pattern[str], str], ...] = (
    (_IN_AUTHORITY, rf"\1{MASK}@"), (_IN_URL, rf"\1{MASK}"), (_IN_HEADER, rf"\1 {MASK}"),
    (_NAMED, rf"\1\2{MASK}\2"), (_BLOB, MASK),
)  # fmt: skip

# Lines in which a database quotes a row; what an exception quotes and is no plain word.
_QUOTED_ROW = re.compile(r"(?m)^(DETAIL|CONTEXT|HINT|LINE \d+):.*(?:\n(?![ \t]|\w).*)*")
_QUOTED = re.compile(r"""'([^'\n]*)'|"([^"\n]*)\"""")
_PLAIN_WORD = re.compile(r"[\w.:/<>-]{1,40}\Z", re.ASCII)


class Redactor:
    """Redacts, with one site's key."""

    def __init__(self, key: str) -> None:
        self._key = blake2s(key.encode(), person=b"logs").digest()

    def digest(self, user: str) -> str:
        """Return what stands for a contact: the keyed hash of its number or its LID."""
        return blake2s(user.encode(errors="replace"), key=self._key, digest_size=5).hexdigest()

    # --- texts --------------------------------------------------------------------------------------------------------
    def text(self, text: str) -> str:
        """Return a text without the credentials and the addresses in it."""
        for pattern, replacement in _SUBSTITUTIONS:
            text = pattern.sub(replacement, text)
        if "@" in text:
            text = _EMAIL.sub(MASK, _JID.sub(self._address, text))
        return _PHONE.sub(self._number, text)

    def trace(self, text: str) -> str:
        """Return a traceback whose exceptions say what went wrong, and not with whose data."""
        text = _QUOTED_ROW.sub(rf"\1: {MASK}", text)
        return "\n".join(
            self.text(line) if line.startswith("  ") else self.text(_QUOTED.sub(_unless_plain, line))
            for line in text.split("\n")
        )

    def _address(self, found: re.Match[str]) -> str:
        user = found[0].partition("@")[0].partition(":")[0]
        return f"jid:{self.digest(user)}"

    def _number(self, found: re.Match[str]) -> str:
        return f"tel:{self.digest(_NO_DIGIT.sub('', found[0]))}"

    # --- structures ---------------------------------------------------------------------------------------------------
    def structure(self, value: Any, *, depth: int = DEEPEST) -> Any:
        """Return a copy of a structure, with its form, its numbers, and only its harmless texts."""
        if isinstance(value, Mapping):
            if not depth:
                return {}
            shown = list(value.items())[:LONGEST]
            return {self.text(str(key)): self._item(str(key), one, depth - 1) for key, one in shown}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.structure(one, depth=depth - 1) for one in list(value)[:LONGEST]] if depth else []
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return value if len(str(value)) < 10 else self.text(str(value))  # noqa: PLR2004 - a phone number has ten digits
        return MASK

    def field(self, name: str, value: Any) -> Any:
        """Return a field that was added to a record, redacted."""
        if isinstance(value, str):
            return MASK if name.lower() in PERSONAL else self.text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if is_structure(value):
            return self.structure(value)
        return self.text(str(value))

    def _item(self, key: str, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self.text(value) if key.lower() in HARMLESS and _PLAIN_WORD.match(value) else MASK
        return self.structure(value, depth=depth)


def is_structure(value: object) -> bool:
    """Whether a value holds others."""
    return type(value) not in SCALARS and isinstance(value, Mapping | list | tuple | set | frozenset)


def _unless_plain(found: re.Match[str]) -> str:
    quoted = found[1] if found[1] is not None else found[2]
    return found[0] if _PLAIN_WORD.match(quoted) or not quoted else f"{found[0][0]}{MASK}{found[0][-1]}"


class RedactionFilter(logging.Filter):
    """Redacts a record's message, its traceback and its fields; always lets the record pass."""

    def __init__(self, key: str = "") -> None:
        super().__init__()
        self.redactor = Redactor(key)

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace what the record says by its redacted form; its arguments are spent."""
        redactor = self.redactor
        record.msg, record.args = redactor.text(record.getMessage()), None
        if record.exc_text:
            record.exc_text = redactor.trace(record.exc_text)
        for name in vars(record).keys() - STANDARD:
            setattr(record, name, redactor.field(name, getattr(record, name)))
        bound = getattr(record, BOUND, {})
        setattr(
            record, BOUND, {name: one if name == AREA else redactor.field(name, one) for name, one in bound.items()}
        )
        return True


# What every record has, and what logging and the handler add to it.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", BOUND}
