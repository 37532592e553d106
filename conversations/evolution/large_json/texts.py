"""Keeps long texts that are base64, and cuts all others: only encoded files are longer than WhatsApp's texts."""

import re

MAX_TEXT_LENGTH = 1_000_000  # characters; WhatsApp's texts have 65,536 at most
STEP = 1024 * 1024  # characters that are searched at once

_ENCODED = re.compile(r"[\w+/=:;,. \r\n-]*", re.ASCII)  # base64, or a data URL of base64


def is_encoded(text: str) -> bool:
    """Return whether a text is base64.

    The text is searched in steps, because other threads wait while a regular expression runs.
    """
    return all(_ENCODED.fullmatch(text, start, start + STEP) for start in range(0, len(text), STEP))


class LongText:
    """Joins the parts of a long text, which is cut to `MAX_TEXT_LENGTH` characters unless it is base64."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._is_plain = False  # whether a part is not base64

    def add(self, part: str) -> None:
        """Add the next part."""
        if not self._is_plain and not is_encoded(part):
            self._is_plain = True
            self._parts = ["".join(self._parts)[:MAX_TEXT_LENGTH]]  # before a character that makes the whole text wide
            self._length = len(self._parts[0])
        if not self._is_plain or self._length < MAX_TEXT_LENGTH:
            self._parts.append(part)
            self._length += len(part)

    def join(self) -> str:
        """Return the text."""
        text = "".join(self._parts)
        return _join_halves(text)[:MAX_TEXT_LENGTH] if self._is_plain else text


def _join_halves(text: str) -> str:
    """Make one character of two neighbouring surrogates: the escapes of both halves may have been decoded apart."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
