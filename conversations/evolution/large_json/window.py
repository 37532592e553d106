"""Converts a body in UTF-8 to text step by step: only the text from the next character on is in memory."""

import codecs
import re

STEP = 256 * 1024  # bytes that are converted to text at once

_SPACE = re.compile(r"[ \t\n\r]*")


class Window:
    """A part of a body as text, which moves forward through the body.

    Args:
        raw: the body, which is emptied.

    Attributes:
        text: the part of the body that is in memory.
        at: the position of the next character in `text`.
    """

    def __init__(self, raw: bytearray) -> None:
        self._raw = raw
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self.text, self.at = "", 0

    def read(self) -> bool:
        """Add a step to the text, and drop the text before the next character; return False at the end of the body."""
        if not self._raw:
            return False
        step = self._utf8.decode(self._raw[:STEP], final=len(self._raw) <= STEP)
        del self._raw[:STEP]
        self.text, self.at = self.text[self.at :], 0  # frees the text before it, which is large with an emoji
        self.text += step
        return True

    def peek(self) -> str:
        """Skip white space, and return the next character; "" at the end of the body."""
        while True:
            self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]  # it matches ""
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.read():
                return ""

    def take(self, allowed: str) -> str:
        """Skip white space and the next character, and return this character.

        Raises:
            ValueError: the character is not among those that are allowed.
        """
        char = self.peek()
        if not char or char not in allowed:
            raise ValueError(f"expected one of {allowed}")
        self.at += 1
        return char

    def skip(self, char: str) -> bool:
        """Skip white space and one character if it is next; return whether it was."""
        is_next = self.peek() == char
        self.at += is_next
        return is_next

    def match(self, pattern: re.Pattern[str]) -> str:
        """Skip and return what matches a pattern in the next step of the text; "" if nothing does."""
        match = pattern.match(self.text, self.at, self.at + STEP)
        self.at = match.end() if match else self.at
        return match[0] if match else ""
