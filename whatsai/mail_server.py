"""Reads the URL of the mail server: `smtp://user:password@host:587`, `smtp+tls://…` with STARTTLS, or `smtps://…`."""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


class MailServer(NamedTuple):
    """The options of Django's e-mail that the URL contains."""

    host: str
    port: int
    user: str
    password: str
    use_tls: bool
    use_ssl: bool


def options(url: str) -> MailServer:
    """Return the options in a URL.

    Raises:
        ValueError: the URL is not that of a mail server.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError("not the URL of a mail server")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    port = parts.port or _PORTS[parts.scheme]
    return MailServer(parts.hostname, port, user, password, parts.scheme == "smtp+tls", parts.scheme == "smtps")
