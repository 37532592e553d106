"""The URL of an Evolution server: its normal form, and whether two spellings name one server."""

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from conversations.evolution.marking import mark as _

MAX_LENGTH = 255  # maximum characters of a server's URL, as in the model `Instance`
LOCALHOST = "localhost"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def normalize_server_url(text: str) -> str:
    """Return the URL of an Evolution server in its normal form, in which the database stores the URL.

    The scheme and the host are in lower case; a default port, a dot after the host and trailing slashes are left out.

    >>> normalize_server_url("HTTPS://Evo.Example.com:443/")
    'https://evo.example.com'

    Raises:
        ValueError: `text` is not an HTTP URL, is too long, or has a part that may contain a secret.
    """
    parts = _split(text.strip())
    if parts is None:
        raise ValueError(_("must be the URL of an Evolution server, such as https://evolution.example.com"))
    if any(mark in text for mark in "@?#"):
        raise ValueError(_("must be a URL without credentials, query and fragment"))
    return _join(parts, _host(parts))


def server_key(text: str) -> str:
    """Return a key that is equal for all spellings of the URL of one server; "" if `text` is not an HTTP URL.

    All names of the own machine are one host.
    """
    text = text.strip()
    return _server_key(text) if len(text) <= MAX_LENGTH else ""  # a sender's text may be long: it is not remembered


@lru_cache(1024)
def _server_key(text: str) -> str:
    parts = _split(text)
    return _join(parts, LOCALHOST if is_loopback(_host(parts)) else _host(parts)) if parts else ""


def is_loopback(host: str) -> bool:
    """Return whether a host is the machine on which the name is used, such as `localhost` or `127.0.0.1`."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == LOCALHOST or host.endswith(f".{LOCALHOST}")
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def is_private(host: str) -> bool:
    """Return whether a host can only be reached in its own network: a private address, or a name without a domain."""
    try:
        address = ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan", ".home.arpa", f".{LOCALHOST}"))
    return not (getattr(address, "ipv4_mapped", None) or address).is_global


def host_of(url: str) -> str:
    """Return the host of a URL in its normal form; "" if the URL is not an HTTP URL."""
    parts = _split(url)
    return _host(parts) if parts else ""


def _split(url: str) -> SplitResult | None:
    if len(url) > MAX_LENGTH or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in _DEFAULT_PORTS and bool(_host(parts)) and parts.port != 0
    except ValueError:  # the URL has an invalid port, or an invalid IPv6 address in brackets
        return None
    return parts if is_http else None


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".")


def _join(parts: SplitResult, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{shown}{port}{parts.path.rstrip('/')}"
