"""What a bubble shows beside its text: the name of its kind, a line of media facts, lines of details. Pure.

`media` and `details` hold what somebody else's server sent, so nothing is taken for granted of their types.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.template.defaultfilters import filesizeformat

from conversations.admin.links import web_url

# kind → (symbol, name); a text needs neither.
KINDS = {
    "text": ("", ""),
    "image": ("🖼", "Photo"),
    "video": ("🎬", "Video"),
    "video_note": ("🎬", "Video note"),
    "audio": ("🎵", "Audio"),
    "document": ("📄", "Document"),
    "sticker": ("🏷", "Sticker"),
    "location": ("📍", "Location"),
    "live_location": ("📍", "Live location"),
    "contact": ("👤", "Contact"),
    "contacts": ("👥", "Contacts"),
    "poll": ("📊", "Poll"),
    "button_reply": ("↪", "Button reply"),
    "list_reply": ("↪", "List reply"),
    "template_reply": ("↪", "Template reply"),
    "interactive_reply": ("↪", "Form reply"),
    "list": ("☰", "List"),
    "buttons": ("☰", "Buttons"),
    "template": ("☰", "Template"),
    "interactive": ("☰", "Interactive"),
    "product": ("🛍", "Product"),
    "order": ("🛒", "Order"),
    "event": ("📅", "Event"),
    "group_invite": ("👥", "Group invitation"),
    "call": ("📞", "Call"),
}
UNKNOWN = ("❔", "Not understood")

# flag of `media` → its word
_FLAGS = {"is_voice": "voice", "is_gif": "GIF", "is_animated": "animated", "is_view_once": "view once"}
_PREVIEW = 80
_MAP = "https://www.openstreetmap.org/?mlat={0:.6f}&mlon={1:.6f}#map=16/{0:.6f}/{1:.6f}"
_WAID = re.compile(r"waid=(\d{1,20})")

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of details; `url` is "" where it is no link."""

    text: str
    url: str = ""


def kind_of(kind: str) -> tuple[str, str]:
    """Return a kind's symbol and its name."""
    return KINDS.get(kind, UNKNOWN)


def preview(kind: str, text: str) -> str:
    """Return one line for a list: the beginning of the text, and the sign or the name of what is no mere text."""
    symbol, name = kind_of(kind)
    shown = text if len(text) <= _PREVIEW else f"{text[:_PREVIEW]}…"
    return f"{symbol} {shown or name}".strip()


def media_facts(media: Json) -> list[str]:
    """Return what is known of a file, in the order of a file manager: type, size, length, dimensions, flags."""
    width, height, pages = (_integer(media.get(name)) for name in ("width", "height", "pages"))
    facts = [
        _text(media.get("mimetype")),
        filesizeformat(media["size"]) if _integer(media.get("size")) else "",
        duration(media["seconds"]) if _integer(media.get("seconds")) else "",
        f"{width} × {height}" if width and height else "",  # noqa: RUF001 - the sign of dimensions
        f"{pages} pages" if pages else "",
        *(word for name, word in _FLAGS.items() if media.get(name) is True),
    ]
    return [fact for fact in facts if fact]


def duration(seconds: int) -> str:
    """Return a length as a player shows it.

    >>> duration(75), duration(3725)
    ('1:15', '1:02:05')
    """
    minutes, rest = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def media_lines(media: Json) -> Iterator[Line]:
    """Yield a file's name, as a link where the file can be had, and what was said in it."""
    name = _text(media.get("file_name")) or _text(media.get("title"))
    url = web_url(media.get("url"))
    if name or url:
        yield Line(name or "file", url)
    if transcript := _text(media.get("transcript")):
        yield Line(f"“{transcript}”")


def detail_lines(kind: str, details: Json, poll_count: Sequence[Json]) -> list[Line]:
    """Return what the kind has beside text and media."""
    if kind == "poll":
        return [Line(f"{option['name']}: {len(option['voters'])}") for option in poll_count]
    reader = _READERS.get(kind, _plain)
    return list(reader(details))


def _location(details: Json) -> Iterator[Line]:
    latitude, longitude = details.get("degreesLatitude"), details.get("degreesLongitude")
    if _text(details.get("address")):
        yield Line(details["address"])
    if isinstance(latitude, int | float) and isinstance(longitude, int | float):
        yield Line(f"{latitude:.5f}, {longitude:.5f}", _MAP.format(latitude, longitude))


def _cards(details: Json) -> Iterator[Line]:
    """Yield the people of one vCard or of several: a name where there are several, and the numbers."""
    cards = details["contacts"] if isinstance(details.get("contacts"), list) else [details]
    for card in cards:
        if isinstance(card, dict):
            numbers = ", ".join(f"+{number}" for number in _WAID.findall(_text(card.get("vcard"))))
            text = " · ".join(part for part in (_text(card.get("displayName")), numbers) if part)
            yield from [Line(text)] if text else []


def _call(details: Json) -> Iterator[Line]:
    stage = _text(details.get("stage"))
    yield Line(f"{'video' if details.get('is_video') is True else 'voice'}{stage and f', {stage}'}")


def _plain(details: Json) -> Iterator[Line]:
    """Yield what can be read at a glance; the message's own page has all of it."""
    for name, value in details.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool) and name not in _BESIDE:
            yield Line(f"{name}: {value}")


# Said of any kind, and shown as a mark or not at all.
_BESIDE = frozenset({"viewOnce", "isForwarded", "forwardingScore", "expiration", "mentionedJid"})

_READERS: dict[str, Callable[[Json], Iterator[Line]]] = {
    "location": _location,
    "live_location": _location,
    "contact": _cards,
    "contacts": _cards,
    "call": _call,
}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _integer(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
