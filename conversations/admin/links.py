"""Finds links in untrusted text. Only http and https URLs become links; all other text stays plain."""

import re
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlsplit

from django.utils.formats import number_format
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from conversations.evolution.combining_marks import limit_runs

_URL = re.compile(r"https?://[^\s<>\"'`]+", re.IGNORECASE)
# Punctuation, closing brackets and WhatsApp's formatting characters at the end of a URL do not become part of the link.
MAX_LINKS = 50  # in one text; further URLs stay plain text, because each link takes time to render
MAX_LENGTH = 10_000  # characters of a text that are shown
_TRAILING = ".,;:!?)]}*_~…»”"


@dataclass(frozen=True)
class LinkedText:
    """A piece of a text, and the URL that the piece links to, or "" for plain text."""

    text: str
    url: str = ""

    @property
    def html(self) -> SafeString:
        """The piece as HTML; including a template for each piece would take a tenth of the time of a thread."""
        if not self.url:
            return conditional_escape(self.text)
        return format_html('<a href="{}" rel="noopener noreferrer" target="_blank">{}</a>', self.url, self.text)


def linkify(text: str) -> list[LinkedText]:
    """Split the beginning of a text into plain pieces and at most `MAX_LINKS` links."""
    text = shorten(text, MAX_LENGTH)
    pieces: list[LinkedText] = []
    end = 0
    for match in islice(_URL.finditer(text), MAX_LINKS):
        url = web_url(match[0].rstrip(_TRAILING))
        if not url:
            continue
        pieces += [LinkedText(text[end : match.start()]), LinkedText(url, url)]
        end = match.start() + len(url)
    return [piece for piece in (*pieces, LinkedText(text[end:])) if piece.text]


def shorten(text: str, length: int) -> str:
    """Return the first `length` characters of a text, followed by its length if it is longer."""
    if len(text) <= length:
        return text
    count = _("%(count)s characters") % {"count": number_format(len(text), force_grouping=True)}
    return f"{text[:length]}… ({count})"


def web_url(value: object) -> str:
    """Return `value` if it is an http or https URL with a host, else ""."""
    if not isinstance(value, str):
        return ""
    try:
        parts = urlsplit(limit_runs(value))  # `urlsplit` normalizes the host
    except ValueError:
        return ""
    return value if parts.scheme in ("http", "https") and parts.hostname else ""
