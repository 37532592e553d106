"""HTML snippets for admin columns and fields, built with `format_html`, which escapes external text."""

import base64
import datetime as dt
import json
from collections.abc import Collection, Iterable, Iterator
from html import escape
from typing import Any

from django.utils.formats import localize
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from conversations.admin.links import shorten, web_url

EMPTY = "-"  # what Django's admin shows for empty values
MAX_TEXT_LENGTH = 1_000  # maximum number of characters of one text inside displayed JSON
MAX_JSON_LENGTH = 100_000  # maximum number of characters of displayed JSON
MAX_JSON_ITEMS = 5_000  # maximum number of items in the lists and objects of displayed JSON
MAX_JSON_LEVELS = 50  # maximum number of levels of lists and objects in displayed JSON
_PNG_PREFIX = "data:image/png;base64,"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def badge(text: str | Promise, style: str) -> SafeString:
    """Return a text on a coloured background; `style` is a suffix of a `.badge-…` class in admin.css."""
    return format_html('<span class="badge badge-{}">{}</span>', style, text)


def select_options(choices: Iterable[tuple[Any, Any]], chosen: Collection[str]) -> SafeString:
    """Return the options of a drop-down. Django renders a template for each option: 150 ms for 500 of them.

    Args:
        choices: value and title of each option.
        chosen: the texts of the values that are selected.
    """
    chosen = frozenset(chosen)
    return join_html(
        f'<option value="{escape(key := str(value))}"{" selected" * (key in chosen)}>{escape(str(title))}</option>'
        for value, title in choices
    )


def join_html(lines: Iterable[str]) -> SafeString:
    """Return lines of HTML, of which each escapes its texts with `html.escape`.

    For hundreds of lines. Django's functions, which call `html.escape` too, take twelve times as long.
    """
    return mark_safe("\n".join(lines))  # noqa: S308 - callers have escaped the texts


def format_time(time: dt.datetime) -> str:
    """Return a time in the format that the admin uses for model fields."""
    return str(localize(localtime(time)))


def web_link(url: str) -> SafeString | str:
    """Return a link that opens in a new tab and sends no referrer; return `url` as plain text if it is no web URL."""
    if not web_url(url):
        return url or EMPTY
    return format_html('<a href="{0}" rel="noopener noreferrer" target="_blank">{0}</a>', url)


def png_image(data_url: str, alt: str | Promise) -> SafeString | str:
    """Return an <img> element for the data URL of a PNG image; return a short text for any other value."""
    if not data_url:
        return EMPTY
    try:
        data = base64.b64decode(data_url.removeprefix(_PNG_PREFIX), validate=True)
    except ValueError:
        data = b""
    if not data_url.startswith(_PNG_PREFIX) or not data.startswith(_PNG_SIGNATURE):
        return _("(not a PNG image)")
    return format_html('<img class="pairing-image" src="{}" alt="{}">', data_url, alt)


def pretty_json(value: Any) -> SafeString | str:
    """Return a value as indented JSON; long texts, long lists, deep levels and long JSON are cut."""
    if value in (None, {}, []):
        return EMPTY
    text = json.dumps(_Excerpt().of(value, MAX_JSON_LEVELS), indent=2, ensure_ascii=False)
    return format_html('<pre class="json">{}</pre>', shorten(text, MAX_JSON_LENGTH))


class _Excerpt:
    """Copies the beginning of a JSON value, with at most `MAX_JSON_ITEMS` items in all its lists and objects."""

    def __init__(self) -> None:
        self._left = MAX_JSON_ITEMS

    def of(self, value: Any, levels: int) -> Any:
        """Return `value` with at most `levels` levels of lists and objects."""
        if isinstance(value, str):
            return shorten(value, MAX_TEXT_LENGTH)
        if not isinstance(value, dict | list):
            return value
        if isinstance(value, dict):
            items = {
                shorten(name, MAX_TEXT_LENGTH): self.of(item, levels - 1)
                for name, item in self._first(value.items(), levels)
            }
            return items | ({"…": _("%(count)d members") % {"count": len(value)}} if len(items) < len(value) else {})
        shown = [self.of(item, levels - 1) for item in self._first(value, levels)]
        return shown + (["… " + _("(%(count)d items)") % {"count": len(value)}] if len(shown) < len(value) else [])

    def _first(self, items: Iterable[Any], levels: int) -> Iterator[Any]:
        for item in items if levels > 0 else ():
            if not self._left:
                return
            self._left -= 1
            yield item
