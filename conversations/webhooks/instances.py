"""Which instance an event belongs to: the one in the URL or, for a global webhook, the one in the body."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from conversations.models import Instance

LONGEST = 255  # characters, of a name and of a server's URL, as the model has it

# A name is one segment of a URL, and text that every database can store.
_OBJECTIONS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("is blank", lambda name: not name.strip()),
    (f"is longer than {LONGEST} characters", lambda name: len(name) > LONGEST),
    ("has a slash, which no webhook URL could carry", lambda name: "/" in name),
    ("is a relative path, which no webhook URL could carry", lambda name: name in (".", "..")),
    ("has a character that is not text", lambda name: any(map(_is_not_text, name))),
)


def name_error(name: str) -> str:
    """Return why an instance cannot have that name, as the end of a sentence, or "" when it can."""
    return next((reason for reason, objects in _OBJECTIONS if objects(name)), "")


def _is_not_text(char: str) -> bool:
    return char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff"


def server_url(text: str) -> str:
    """Return the URL of an Evolution server as it is stored: without the slashes at its end.

    Raises:
        ValueError: it is no such URL, or has parts that may hold a secret.
    """
    url = text.strip().rstrip("/")
    if not _is_http(url) or len(url) > LONGEST:
        raise ValueError("must be the URL of an Evolution server, such as https://evolution.example.com")
    if any(mark in url for mark in "@?#"):
        raise ValueError("must be a URL without credentials, query and fragment")
    return url


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or brackets round what is no address
        return False
    return parts.scheme in ("http", "https") and is_address and url.isprintable() and " " not in url


def find_by_name(name: str) -> list[Instance]:
    """Return the instances of that name, one a server; none for what is no name."""
    return [] if name_error(name) else Instance.objects.by_name(name)


def resolve_instance(sender: Instance, body: Any) -> Instance:
    """Return the instance that an authenticated body is about.

    That is the sender, unless its webhook is its server's global one: that speaks for every instance of the server,
    also for one that is heard of for the first time.
    """
    name = body.get("instance") if isinstance(body, dict) else None
    if not sender.is_global_webhook or not isinstance(name, str) or name == sender.name or name_error(name):
        return sender
    # Looked up first: `upsert` writes to a row that is there, and most events come from a known instance.
    for instance in find_by_name(name):
        if instance.server_url == sender.server_url:
            return instance
    return Instance.objects.upsert(name, sender.server_url)[0]
