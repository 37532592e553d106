"""HTML snippets for admin columns and fields, built with `format_html`, which escapes external text."""

import base64
import datetime as dt
import json
from typing import Any

from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from conversations.admin.links import web_url

EMPTY = "-"  # Django admin's placeholder for empty values
MAX_TEXT_LENGTH = 1_000  # maximum number of characters of one text inside displayed JSON
MAX_JSON_LENGTH = 100_000  # maximum number of characters of displayed JSON
_PNG_PREFIX = "data:image/png;base64,"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def badge(text: str, style: str) -> SafeString:
    """Return a text on a coloured background; `style` is a suffix of a `.badge-…` class in admin.css."""
    return format_html('<span class="badge badge-{}">{}</span>', style, text)


def format_time(time: dt.datetime) -> str:
    """Return a time in the format that the admin uses for model fields."""
    return str(localize(localtime(time)))


def web_link(url: str) -> SafeString | str:
    """Return a link that opens in a new tab and sends no referrer; return `url` as plain text if it is no web URL."""
    if not web_url(url):
        return url or EMPTY
    return format_html('<a href="{0}" rel="noopener noreferrer" target="_blank">{0}</a>', url)


def png_image(data_url: str, alt: str) -> SafeString | str:
    """Return an <img> element for the data URL of a PNG image; return a placeholder text for any other value."""
    if not data_url:
        return EMPTY
    try:
        data = base64.b64decode(data_url.removeprefix(_PNG_PREFIX), validate=True)
    except ValueError:
        data = b""
    if not data_url.startswith(_PNG_PREFIX) or not data.startswith(_PNG_SIGNATURE):
        return "(not a PNG image)"
    return format_html('<img class="pairing-image" src="{}" alt="{}">', data_url, alt)


def pretty_json(value: Any) -> SafeString | str:
    """Return a value as indented JSON; text and JSON above a maximum length are cut, and their length is appended."""
    if value in (None, {}, []):
        return EMPTY
    text = json.dumps(_truncate_texts(value), indent=2, ensure_ascii=False)
    if len(text) > MAX_JSON_LENGTH:
        text = f"{text[:MAX_JSON_LENGTH]}\n… ({len(text):,} characters)"
    return format_html('<pre class="json">{}</pre>', text)


def _truncate_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _truncate_texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_truncate_texts(item) for item in value]
    if isinstance(value, str) and len(value) > MAX_TEXT_LENGTH:
        return f"{value[:MAX_TEXT_LENGTH]}… ({len(value):,} characters)"
    return value
