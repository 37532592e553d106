"""Finds the instance of a webhook event by the name in the URL or, for a global webhook, by the name in the body."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from conversations.models import Instance

MAX_LENGTH = 255  # maximum characters of an instance's name and of a server's URL, as in the model `Instance`

# (end of the error text, function that returns whether an instance's name breaks the rule). A name must fit into one
# segment of a URL, and the database must be able to store the name.
_NAME_RULES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("is blank", lambda name: not name.strip()),
    (f"is longer than {MAX_LENGTH} characters", lambda name: len(name) > MAX_LENGTH),
    ("contains a slash, which a webhook URL cannot contain", lambda name: "/" in name),
    ("is a relative path, which a webhook URL cannot contain", lambda name: name in (".", "..")),
    ("contains a control character or a lone surrogate", lambda name: any(map(_is_unstorable, name))),
)


def name_error(name: str) -> str:
    """Return why an instance cannot have the name `name`, as the end of a sentence; "" if the name is valid."""
    return next((message for message, is_broken in _NAME_RULES if is_broken(name)), "")


def _is_unstorable(char: str) -> bool:
    return char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff"


def normalize_server_url(text: str) -> str:
    """Return the URL of an Evolution server without trailing slashes, as the database stores the URL.

    Raises:
        ValueError: `text` is not an HTTP URL, is too long, or has a part that may contain a secret.
    """
    url = text.strip().rstrip("/")
    if not _is_http(url) or len(url) > MAX_LENGTH:
        raise ValueError("must be the URL of an Evolution server, such as https://evolution.example.com")
    if any(mark in url for mark in "@?#"):
        raise ValueError("must be a URL without credentials, query and fragment")
    return url


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # the URL has an invalid port, or an invalid IPv6 address in brackets
        return False
    return parts.scheme in ("http", "https") and has_host and url.isprintable() and " " not in url


def find_by_name(name: str) -> list[Instance]:
    """Return all instances named `name`, at most one per Evolution server; an empty list if the name is not valid."""
    return [] if name_error(name) else Instance.objects.by_name(name)


def resolve_instance(sender: Instance, body: Any) -> Instance:
    """Return the instance to which an authenticated webhook body belongs.

    The result is `sender`, unless `sender` has the global webhook of an Evolution server. A global webhook sends the
    events of every instance of the server, and the body names the instance. An instance without a row is created.

    Args:
        sender: the instance whose token authenticated the request.
        body: any decoded JSON value.
    """
    name = body.get("instance") if isinstance(body, dict) else None
    if not sender.is_global_webhook or not isinstance(name, str) or name == sender.name or name_error(name):
        return sender
    # Search for the instance before calling `upsert`, because `upsert` also writes to an existing row, and most
    # instances have a row.
    for instance in find_by_name(name):
        if instance.server_url == sender.server_url:
            return instance
    return Instance.objects.upsert(name, sender.server_url)[0]
