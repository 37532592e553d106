"""Pure functions for the display of a chat message: name of its kind, preview, properties of its file, detail lines.

The arguments `media` and `details` come from an external server, so the type of each value in them is checked.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from conversations.admin import business_lines
from conversations.admin.links import LinkedText, web_url

# kind of message → (symbol, name), both of which are empty for a text message
KINDS = {
    "text": ("", ""),
    "image": ("🖼", _("Photo")),
    "video": ("🎬", _("Video")),
    "video_note": ("🎬", _("Video note")),
    "audio": ("🎵", _("Audio")),
    "document": ("📄", _("Document")),
    "sticker": ("🏷", _("Sticker")),
    "sticker_pack": ("🏷", _("Sticker pack")),
    "location": ("📍", _("Location")),
    "live_location": ("📍", _("Live location")),
    "contact": ("👤", _("Contact")),
    "contacts": ("👥", _("Contacts")),
    "poll": ("📊", _("Poll")),
    "poll_result": ("📊", _("Poll result")),
    "button_reply": ("↪", _("Button reply")),
    "list_reply": ("↪", _("List reply")),
    "template_reply": ("↪", _("Template reply")),
    "interactive_reply": ("↪", _("Form reply")),
    "list": ("☰", _("List")),
    "buttons": ("☰", _("Buttons")),
    "template": ("☰", _("Template")),
    "interactive": ("☰", _("Interactive")),
    "product": ("🛍", _("Product")),
    "order": ("🛒", _("Order")),
    "payment": ("💳", _("Payment")),
    "event": ("📅", _("Event")),
    "group_invite": ("👥", _("Group invitation")),
    "channel_invite": ("📣", _("Channel invitation")),
    "call": ("📞", _("Call")),
    "notice": ("📌", _("Notice")),
    "supplement": ("🧩", _("Supplement")),
}
UNKNOWN_KIND = ("❔", _("Unsupported kind of message"))

# name of a flag in `Message.media` → displayed word
_MEDIA_FLAGS = {
    "is_voice": _("voice"),
    "is_gif": "GIF",
    "is_animated": _("animated"),
    "is_view_once": _("view once"),
}
PICTURE_SIDE = 320  # pixels of the longer side of a picture
PREVIEW_LENGTH = 80  # maximum number of characters of a preview's text
_MAP_URL = "https://www.openstreetmap.org/?mlat={0:.6f}&mlon={1:.6f}#map=16/{0:.6f}/{1:.6f}"
_VCARD_NUMBER = re.compile(r"waid=(\d{1,20})")
# Names in `Message.details` that any kind of message can have, and that are displayed as flags or not at all.
_COMMON_DETAIL_KEYS = frozenset(
    {"view_once", "is_forwarded", "forwarding_score", "expiration", "album_id", "quoted_chat", "is_truncated", "at"}
)

Json = Mapping[str, Any]


def kind_label(kind: str) -> tuple[str, str]:
    """Return the symbol and the name of a kind of message."""
    symbol, name = KINDS.get(kind, UNKNOWN_KIND)
    return symbol, str(name)


def preview(kind: str, text: str) -> str:
    """Return the symbol of a kind of message and the beginning of the text; the kind's name replaces an empty text."""
    symbol, name = kind_label(kind)
    shortened = text if len(text) <= PREVIEW_LENGTH else f"{text[:PREVIEW_LENGTH]}…"
    return f"{symbol} {shortened or name}".strip()


def media_facts(media: Json) -> list[str]:
    """Return the known properties of a message's file: type, size, duration, dimensions, pages, flags."""
    width, height, pages = (_as_integer(media.get(name)) for name in ("width", "height", "pages"))
    facts = [
        _as_text(media.get("mimetype")),
        filesizeformat(media["size"]) if _as_integer(media.get("size")) else "",
        duration(media),
        f"{width} × {height}" if width and height else "",  # noqa: RUF001 - dimensions use a multiplication sign
        ngettext("%(count)d page", "%(count)d pages", pages) % {"count": pages} if pages else "",
        *(str(word) for name, word in _MEDIA_FLAGS.items() if media.get(name) is True),
    ]
    return [fact for fact in facts if fact]


def duration(media: Json) -> str:
    """Return how long a recording is; "" if the sender did not tell."""
    seconds = _as_integer(media.get("seconds"))
    return format_duration(seconds) if seconds else ""


def format_duration(seconds: int) -> str:
    """Return a duration in minutes and seconds, with hours if necessary.

    >>> format_duration(75), format_duration(3725)
    ('1:15', '1:02:05')
    """
    minutes, remainder = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{remainder:02}" if hours else f"{minutes}:{remainder:02}"


def picture_size(media: Json) -> tuple[int, int] | None:
    """Return the width and height in which a picture or video is shown; None if the sender did not tell its size.

    >>> picture_size({"width": 1200, "height": 1600}), picture_size({"width": 100, "height": 50}), picture_size({})
    ((240, 320), (320, 160), None)
    """
    width, height = _as_integer(media.get("width")), _as_integer(media.get("height"))
    if not width or not height or width < 0 or height < 0:
        return None
    longest = max(width, height)
    return max(1, width * PICTURE_SIDE // longest), max(1, height * PICTURE_SIDE // longest)


def media_lines(media: Json) -> Iterator[LinkedText]:
    """Yield the name of a message's file, linked if its URL is known, and the transcript of a voice message."""
    name = _as_text(media.get("file_name")) or _as_text(media.get("title"))
    url = web_url(media.get("url"))
    if name or url:
        yield LinkedText(name or gettext("file"), url)
    if transcript := _as_text(media.get("transcript")):
        yield LinkedText(f"“{transcript}”")


def detail_lines(kind: str, details: Json, poll_count: Sequence[Json]) -> list[LinkedText]:
    """Return the lines that show a message's data besides text and media, such as a location or poll results.

    Args:
        kind: the message's kind, one of `Message.Kind`.
        details: the value of `Message.details`.
        poll_count: `{"name": …, "voter_count": …}` for each option of a poll, see `Message.poll_count`.
    """
    if kind == "poll":
        return [LinkedText(f"{option['name']}: {option['voter_count']}") for option in poll_count]
    formatter = _DETAIL_FORMATTERS.get(kind, _scalar_lines)
    edited = details.get("edited")
    return list(formatter({**details, **edited} if isinstance(edited, dict) else details))


def _location_lines(details: Json) -> Iterator[LinkedText]:
    latitude, longitude = details.get("degrees_latitude"), details.get("degrees_longitude")
    if _as_text(details.get("address")):
        yield LinkedText(details["address"])
    if _is_degrees(latitude, 90) and _is_degrees(longitude, 180):
        yield LinkedText(f"{latitude:.5f}, {longitude:.5f}", _MAP_URL.format(latitude, longitude))


def _is_degrees(value: object, limit: int) -> bool:
    return isinstance(value, int | float) and -limit <= value <= limit


def _vcard_lines(details: Json) -> Iterator[LinkedText]:
    """Yield the name and numbers of each vCard; without a list `contacts`, `details` itself is the only vCard."""
    cards = details["contacts"] if isinstance(details.get("contacts"), list) else [details]
    for card in cards:
        if isinstance(card, dict):
            numbers = ", ".join(f"+{number}" for number in _VCARD_NUMBER.findall(_as_text(card.get("vcard"))))
            text = " · ".join(part for part in (_as_text(card.get("display_name")), numbers) if part)
            yield from [LinkedText(text)] if text else []


def _call_lines(details: Json) -> Iterator[LinkedText]:
    kind = gettext("video") if details.get("is_video") is True else gettext("voice")
    outcome = _CALL_OUTCOMES.get(_as_text(details.get("stage")))
    yield LinkedText(f"{kind}, {outcome}" if outcome else kind)


def _scalar_lines(details: Json) -> Iterator[LinkedText]:
    """Yield a line for each text or number in `details`; the message's admin page shows all values."""
    for name, value in details.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool) and name not in _COMMON_DETAIL_KEYS:
            yield LinkedText(f"{name}: {value}")


# What became of a call, by the last stage that Evolution has reported (`conversations.evolution.calls.STAGES`).
_CALL_OUTCOMES = {
    "offer": _("ringing"),
    "ringing": _("ringing"),
    "terminate": _("ended"),
    "timeout": _("not answered"),
    "reject": _("declined"),
    "accept": _("answered"),
}
_DETAIL_FORMATTERS: dict[str, Callable[[Json], Iterator[LinkedText]]] = {
    "location": _location_lines,
    "live_location": _location_lines,
    "contact": _vcard_lines,
    "contacts": _vcard_lines,
    "call": _call_lines,
    "buttons": business_lines.choice_lines,
    "list": business_lines.choice_lines,
    "template": business_lines.choice_lines,
    "interactive": business_lines.choice_lines,
    "interactive_reply": business_lines.form_lines,
    "order": business_lines.order_lines,
    "product": business_lines.product_lines,
    "payment": business_lines.payment_lines,
    "event": business_lines.event_lines,
    "poll_result": business_lines.poll_result_lines,
    "unknown": business_lines.unsupported_lines,
}


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _as_integer(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
