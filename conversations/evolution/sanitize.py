"""Makes a body fit to be stored: without its credentials, and without characters that a database refuses.

Credentials are the instance's and the server's API keys, and the webhook token inside `destination`.
"""

import re
from typing import Any

SECRET_NAMES = frozenset(
    {"apikey", "api_key", "authorization", "jwt_key", "token", "access_token", "password", "x-api-key"}
)
ADDRESSES = ("destination", "server_url")  # kept without user, password and query
MASK = "[redacted]"
_SPECIAL = SECRET_NAMES | frozenset(ADDRESSES)
_ATOMS = (int, float, bool, type(None))


def sanitize(value: Any) -> Any:
    """Return a copy of decoded JSON without secrets, NUL characters and lone surrogates.

    Raises:
        RecursionError: nested deeper than Python's stack.
    """
    if isinstance(value, dict):
        if _is_harmless(value):
            return {name: item if type(item) in _ATOMS else sanitize(item) for name, item in value.items()}
        return {_clean(name): _member(name, item) for name, item in value.items()}
    if isinstance(value, list):
        return [sanitize(item) for item in value]
    return _clean(value) if isinstance(value, str) else value


def _is_harmless(value: dict[str, Any]) -> bool:
    """Say whether no name asks for anything to be done; a thumbnail's bytes are thousands of members."""
    names = "".join(value)
    return names.isascii() and "\x00" not in names and _SPECIAL.isdisjoint(map(str.lower, value))


def _member(name: str, value: Any) -> Any:
    if name.lower() in SECRET_NAMES:
        return value if value is None else MASK
    if name in ADDRESSES and isinstance(value, str):
        return _clean(re.sub(r"//[^/@]*@", "//", value.partition("?")[0]))
    return sanitize(value)


def _clean(text: str) -> str:
    if "\x00" in text:
        text = text.replace("\x00", "")
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
