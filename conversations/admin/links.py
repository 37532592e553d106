"""Finds links in untrusted text. Only http and https URLs become links; all other text stays plain."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_URL = re.compile(r"https?://[^\s<>\"'`]+", re.IGNORECASE)
# Punctuation, closing brackets and WhatsApp's formatting characters at the end of a URL do not become part of the link.
_TRAILING = ".,;:!?)]}*_~…»”"


@dataclass(frozen=True)
class LinkedText:
    """A piece of a text, and the URL that the piece links to, or "" for plain text."""

    text: str
    url: str = ""


def linkify(text: str) -> list[LinkedText]:
    """Split a text into plain pieces and links, which together contain the complete text."""
    pieces: list[LinkedText] = []
    end = 0
    for match in _URL.finditer(text):
        url = web_url(match[0].rstrip(_TRAILING))
        if not url:
            continue
        pieces += [LinkedText(text[end : match.start()]), LinkedText(url, url)]
        end = match.start() + len(url)
    return [piece for piece in (*pieces, LinkedText(text[end:])) if piece.text]


def web_url(value: object) -> str:
    """Return `value` if it is an http or https URL with a host, else ""."""
    if not isinstance(value, str):
        return ""
    try:
        parts = urlsplit(value)
    except ValueError:
        return ""
    return value if parts.scheme in ("http", "https") and parts.hostname else ""
