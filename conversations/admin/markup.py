"""Small pieces of HTML for columns and fields. Whatever comes from outside is escaped by `format_html`."""

import base64
import datetime as dt
import json
from typing import Any

from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from conversations.admin.links import web_url

NOTHING = "-"  # as Django's admin shows what is empty
LONGEST_TEXT = 1_000
LONGEST_JSON = 100_000
_PNG = "data:image/png;base64,"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def badge(text: str, style: str) -> SafeString:
    """Return a word in a coloured pill; `style` is one of the words that admin.css knows."""
    return format_html('<span class="badge badge-{}">{}</span>', style, text)


def moment(time: dt.datetime) -> str:
    """Return a time as Django's admin writes those of a model's own fields."""
    return str(localize(localtime(time)))


def web_link(url: str) -> SafeString | str:
    """Return a link that opens apart and tells nobody where from; plain text for what is no address of the web."""
    if not web_url(url):
        return url or NOTHING
    return format_html('<a href="{0}" rel="noopener noreferrer" target="_blank">{0}</a>', url)


def png_image(data_url: str, alt: str) -> SafeString | str:
    """Return an image that is inside its own URL, or a word that there is none: nothing else may be an image here."""
    if not data_url:
        return NOTHING
    try:
        data = base64.b64decode(data_url.removeprefix(_PNG), validate=True)
    except ValueError:
        data = b""
    if not data_url.startswith(_PNG) or not data.startswith(_PNG_SIGNATURE):
        return "(not a PNG image)"
    return format_html('<img class="pairing-image" src="{}" alt="{}">', data_url, alt)


def pretty_json(value: Any) -> SafeString | str:
    """Return JSON as a person reads it; long texts inside it, and the whole, are cut and say so."""
    if value in (None, {}, []):
        return NOTHING
    text = json.dumps(_shortened(value), indent=2, ensure_ascii=False)
    if len(text) > LONGEST_JSON:
        text = f"{text[:LONGEST_JSON]}\n… ({len(text):,} characters)"
    return format_html('<pre class="json">{}</pre>', text)


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:LONGEST_TEXT]}… ({len(value):,} characters)"
    return value
