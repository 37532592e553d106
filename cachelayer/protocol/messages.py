r"""Invalidation messages: the id of the sending process in the first line, then one word in each further line.

A word is either a touched tag, or begins with `LOST` or `PATTERN`. The rows of the outbox contain the same kinds of
words.
"""

from collections.abc import Sequence

LOST = "^"  # begins a word that contains how many intents the store had lost when a write ended
PATTERN = "~"  # begins a word that contains a glob: all entries whose cache key matches it were removed


def encode(sender: str, words: Sequence[str]) -> str:
    """Return the text of an invalidation message."""
    return "\n".join([sender, *words])


def decode(message: bytes) -> list[str]:
    """Return the words of an invalidation message.

    Raises:
        ValueError: the invalidation message is not UTF-8.
    """
    return message.decode().split("\n")[1:]


def sender_prefix(sender: str) -> bytes:
    """Return the bytes with which every invalidation message from one process begins."""
    return f"{sender}\n".encode()


def reports_lost_intents(message: bytes) -> bool:
    """Tell whether an invalidation message reports that the store has lost intents."""
    return f"\n{LOST}".encode() in message
