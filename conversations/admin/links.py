"""Web links inside text that somebody else wrote: only http and https become links, and nothing else is markup."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_URL = re.compile(r"https?://[^\s<>\"'`]+", re.IGNORECASE)
# What ends a sentence, a bracket or WhatsApp's own marks is no part of an address.
_CLOSING = ".,;:!?)]}*_~…»”"


@dataclass(frozen=True)
class Segment:
    """A piece of text; `url` is "" where it is no link."""

    text: str
    url: str = ""


def linkify(text: str) -> list[Segment]:
    """Cut a text into plain pieces and links; joined again they are the text."""
    found: list[Segment] = []
    end = 0
    for match in _URL.finditer(text):
        url = web_url(match[0].rstrip(_CLOSING))
        if not url:
            continue
        found += [Segment(text[end : match.start()]), Segment(url, url)]
        end = match.start() + len(url)
    return [segment for segment in (*found, Segment(text[end:])) if segment.text]


def web_url(value: object) -> str:
    """Return `value` if it is an address of the web, else ""."""
    if not isinstance(value, str):
        return ""
    try:
        parts = urlsplit(value)
    except ValueError:
        return ""
    return value if parts.scheme in ("http", "https") and parts.hostname else ""
