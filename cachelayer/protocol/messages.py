r"""Messages on the invalidation channel: the sender's id, then one word a line.

A word is a tag that was touched, or one of the special words below. Outbox rows hold the same words.
"""

from collections.abc import Sequence

LOST = "^"  # followed by the number of intents that the store had lost when a write ended
PATTERN = "~"  # followed by a glob: entries whose key matches were removed
STORE_READ_ONLY = "!"  # the sender found that the store accepts reads but rejects writes


def encode(sender: str, words: Sequence[str]) -> str:
    """Return a message."""
    return "\n".join([sender, *words])


def decode(message: bytes) -> list[str]:
    """Return the words of a message.

    Raises:
        ValueError: it is not UTF-8.
    """
    return message.decode().split("\n")[1:]


def sender_prefix(sender: str) -> bytes:
    """Return the first bytes of every message of one sender."""
    return f"{sender}\n".encode()


def reports_lost_intents(message: bytes) -> bool:
    """Tell whether a message reports that the store has lost intents."""
    return f"\n{LOST}".encode() in message
