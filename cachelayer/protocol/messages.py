r"""Invalidation messages: the id of the sending process in the first line, then one word in each further line.

A word is either a touched tag, or begins with `LOST` or `PATTERN`. The rows of the outbox contain the same kinds of
words.

Whoever can write to the Redis server can publish anything. So a message that no process sends does not cost more than
the longest one that is sent.
"""

import re
from collections.abc import Sequence

from cachelayer.protocol.tags import GLOBAL_TAG

LOST = "^"  # begins a word that contains how many intents the store had lost when a write ended
PATTERN = "~"  # begins a word that contains a glob: all entries whose cache key matches it were removed
MAX_BYTES = 500_000  # of a message; a longer one touches everything
MAX_PATTERN_CHARS = 200  # the time to compile a glob is more than quadratic in its length

_COUNT_OR_PATTERN = re.compile(rf"\^[0-9]{{1,9}}|~.{{1,{MAX_PATTERN_CHARS}}}", re.ASCII)


def encode(sender: str, words: Sequence[str]) -> str:
    """Return the text of an invalidation message."""
    return "\n".join([sender, *words])


def decode(message: bytes) -> list[str]:
    """Return the words of an invalidation message; `GLOBAL_TAG` alone if it is too long or of another form.

    Raises:
        ValueError: the invalidation message is not UTF-8.
    """
    if len(message) > MAX_BYTES:
        return [GLOBAL_TAG]
    words = message.decode().split("\n")[1:]
    special = [word for word in words if word.startswith((LOST, PATTERN))]
    if len(special) > 1 or not all(map(_COUNT_OR_PATTERN.fullmatch, special)):
        return [GLOBAL_TAG]
    return words


def sender_prefix(sender: str) -> bytes:
    """Return the bytes with which every invalidation message from one process begins."""
    return f"{sender}\n".encode()


def reports_lost_intents(message: bytes) -> bool:
    """Tell whether an invalidation message reports that the store has lost intents."""
    return f"\n{LOST}".encode() in message
