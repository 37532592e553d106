"""Parses the content of chat messages.

A content key is the member of a `message` object that holds the content, such as `imageMessage`. The table
`message_types.TYPES` describes each content key. WhatsApp adds content keys without notice, so two rules need no table:
an object whose member `message` is an object is a wrapper, and any other unknown content gives a chat message of kind
`unknown` that keeps every text inside.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from conversations.evolution import business, coerce
from conversations.evolution.coerce import Json
from conversations.evolution.details import MAX_ITEMS, clean, texts
from conversations.evolution.media_names import REFERENCE
from conversations.evolution.message_types import (
    ALL,
    COMPANIONS,
    ENCRYPTED,
    METADATA_KEYS,
    REPLY_KINDS,
    SIGNAL,
    TYPES,
    UNKNOWN,
    MessageClass,
    MessageType,
)
from conversations.evolution.thumbnails import THUMBNAIL, referenced_name, thumbnail_name

# Names in `Message.details` that content never sets, because the context, wrappers and later edits do.
RESERVED = frozenset({"album_id", "edited", "mentions_all", "parent", "quoted_chat", "view_once"})
MAX_WRAPPERS = 16  # maximum number of nested wrappers that are removed
MAX_TEXT = 65_536  # maximum characters of a text, as in WhatsApp; `is_truncated` in the details marks a longer one
_INHERITED = (*METADATA_KEYS, "messageContextInfo")  # members of a wrapper that also hold for the message inside
_TARGET = "targetMessageKey"  # member of the wrapper of a comment: the key of the message that the comment is about
_VERSION = re.compile(r"V\d+$")
_FIRST_VERSIONS = {_VERSION.sub("", key): key for key in reversed(TYPES)}


@dataclass(frozen=True)
class Unwrapped:
    """A `message` object without its wrappers.

    Attributes:
        message: the innermost `message` object, with the metadata of all levels.
        key: the content key of `message`; "" if it has none.
        wrappers: the wrappers' content keys and values, from the outermost to the innermost.
    """

    message: Json
    key: str = ""
    wrappers: tuple[tuple[str, Json], ...] = ()

    @property
    def is_view_once(self) -> bool:
        """Whether the message disappears after it was seen once; WhatsApp may leave such a wrapper empty."""
        return any(name.startswith("viewOnce") for name in (self.key, *(name for name, _ in self.wrappers)))


@dataclass(frozen=True)
class Content:
    """The parsed content of one chat message.

    Attributes:
        key: the content key, such as `imageMessage`, or the known key of which it is another version; "" if the
            `message` object has no content.
        body: the JSON value of the content key, of any type.
        cls: what the content means for a chat.
        kind: a value of `models.Message.Kind`, or the name of a signal.
        text: the text of the chat message, or the caption of its media file.
        has_text: whether the content has the field of the text, even if the text is empty.
        media: metadata of the media file, such as `mimetype` and `size`.
        details: other stored fields of the content, such as the coordinates of a location.
        unwrapped: the `message` object without wrappers.
    """

    key: str
    body: Any
    cls: MessageClass
    kind: str
    text: str = ""
    has_text: bool = False
    media: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)
    unwrapped: Unwrapped = Unwrapped({})

    @property
    def is_control(self) -> bool:
        """Whether the content is no chat message: a signal or a record of a call."""
        return self.cls is MessageClass.SIGNAL or (self.cls is MessageClass.CALL and not self.kind)

    @property
    def fields(self) -> Json:
        """The content as an object; {} if it is a value of another type."""
        return self.body if isinstance(self.body, dict) else {}

    @property
    def answered_key(self) -> Json:
        """The key of the message that this one answers: a status, a request for payment or a post; {} if none."""
        keys = [
            self.fields.get(find_type(self.key).answers),
            *(part.get(_TARGET) for _, part in self.unwrapped.wrappers),
        ]
        return next((key for key in keys if isinstance(key, dict)), {})


def _web_url(value: object) -> str:
    text = coerce.url(value)
    return text if text.startswith(("https://", "http://")) else ""


# name in `Content.media` → (names of the field in payloads, function that converts the field's value)
_MEDIA_FIELDS: dict[str, tuple[tuple[str, ...], Callable[[object], Any]]] = {
    "mimetype": (("mimetype", "mime_type"), lambda value: coerce.text(value, 255)),
    "size": (("fileLength", "file_size"), coerce.int64),
    "file_name": (("fileName", "filename"), lambda value: coerce.text(value, 255)),
    "title": (("title",), lambda value: coerce.text(value, 255)),
    "seconds": (("seconds",), coerce.int64),
    "width": (("width",), coerce.int64),
    "height": (("height",), coerce.int64),
    "pages": (("pageCount",), coerce.int64),
    "is_voice": (("ptt", "voice"), bool),
    "is_gif": (("gifPlayback",), bool),
    "is_animated": (("isAnimated", "isLottie", "animated"), bool),
    "is_view_once": (("viewOnce",), bool),
    "id": (("id",), lambda value: "" if _web_url(value) else coerce.text(value, 255)),
    "url": (("media",), _web_url),
}


def unwrap(message: object) -> Unwrapped:
    """Remove the wrappers of a `message` object, at most `MAX_WRAPPERS`.

    Metadata of a wrapper, such as `base64`, also holds for the message inside, unless that has its own.
    """
    inner = message if isinstance(message, dict) else {}
    key = content_key(inner)
    wrappers: list[tuple[str, Json]] = []
    while len(wrappers) < MAX_WRAPPERS and _is_wrapper(inner.get(key)):
        wrapper = inner[key]
        wrappers.append((key, wrapper))
        inner = {**{name: inner[name] for name in _INHERITED if name in inner}, **wrapper["message"]}
        key = content_key(inner)
    return Unwrapped(inner, key, tuple(wrappers))


def content_key(message: Json) -> str:
    """Return the content key of a `message` object without regard to the order of its members; "" if it has none.

    A content key of a known chat message or a wrapper counts most, then a signal, then an unknown key, and last a
    companion such as `messageContextInfo`.
    """
    ranked = [
        (_rank(name, value), value in ("", {}, []), name)
        for name, value in message.items()
        if name not in METADATA_KEYS and value is not None
    ]
    return min(ranked)[-1] if ranked else ""


def _is_wrapper(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("message"), dict)


def _rank(name: str, value: object) -> int:
    if name in COMPANIONS:
        return 3
    if _is_wrapper(value):
        return 0
    known = find_type(name)
    return 2 if known is UNKNOWN else int(known.cls is MessageClass.SIGNAL)


def find_type(key: str) -> MessageType:
    """Return the description of a content key whose value holds no `message`; `UNKNOWN` if there is none.

    Another version of a known key, such as `pollCreationMessageV6`, is read like the known one.
    """
    found = TYPES.get(known_key(key), UNKNOWN)
    return found if found.kind or found.cls is not MessageClass.WRAPPER else UNKNOWN


def known_key(key: str) -> str:
    """Return a content key, or the known key of which it is another version."""
    return key if key in TYPES else _FIRST_VERSIONS.get(_VERSION.sub("", key), key)


def parse_content(message: object, message_type: str = "") -> Content:
    """Parse the `message` object of a message record.

    Args:
        message: any decoded JSON value.
        message_type: the record's `messageType`, used if `message` does not determine the kind.
    """
    unwrapped = unwrap(message)
    key, body = _key_and_body(unwrapped, message_type)
    fields = body if isinstance(body, dict) else {}
    spec = _describe(key or message_type, fields)
    text = _text(spec, body)
    return Content(
        key=known_key(key),
        body=body,
        cls=spec.cls,
        kind=REPLY_KINDS.get(message_type, spec.kind) if key in ("", "conversation") else spec.kind,
        text=(text or "")[:MAX_TEXT],
        has_text=text is not None,
        media=_media(spec, fields, unwrapped.message),
        details=_details(spec, body, key, text or "") | _view_once(spec, fields, unwrapped) | _truncated(text or ""),
        unwrapped=unwrapped,
    )


def _describe(key: str, fields: Json) -> MessageType:
    """Return the description of content, which may depend on its fields.

    An encrypted addition has its payload among its fields, or in an object beside the key of the other message, as
    votes have it.
    """
    described = find_type(key)
    if described is not UNKNOWN:
        return described
    is_encrypted = any(ENCRYPTED in part for part in (fields, *fields.values()) if isinstance(part, dict))
    return SIGNAL if is_encrypted else described


def quoted_text(message: object) -> str:
    """Return the text of a quoted chat message; without a text, the name of the document or the kind (`[image]`)."""
    if not isinstance(message, dict) or not message:
        return ""
    content = parse_content(message)
    kind = content.kind or (content.cls if content.cls is MessageClass.CALL else content.key)
    file_name = content.media.get("file_name") if kind == "document" else ""
    return content.text or file_name or f"[{kind}]"


def _key_and_body(unwrapped: Unwrapped, message_type: str) -> tuple[str, Any]:
    """Return the content key and the content of a `message` object without wrappers.

    The EVOLUTION channel writes the fields of buttons and lists directly into `message`; `messageType` is their key.
    """
    key, message = unwrapped.key, unwrapped.message
    has_fields = find_type(message_type).cls in (MessageClass.MEDIA, MessageClass.BUSINESS)
    if key and has_fields and find_type(key) is UNKNOWN:
        return message_type, {name: value for name, value in message.items() if name not in METADATA_KEYS}
    return key, message.get(key)


def _text(spec: MessageType, body: object) -> str | None:
    """Return the text of the content; None if the content has no field of a text."""
    if isinstance(body, str):
        return body
    if spec.read_text and (read := spec.read_text(body)):
        return read
    found: str | None = None
    for path in spec.texts:
        text = _text_at(body, path.split("."))
        if text:
            return text
        found = text if found is None else found
    return found


def _text_at(value: object, path: Sequence[str]) -> str | None:
    """Return the text at a path (see `MessageType.texts`); None if there is none."""
    if isinstance(value, list):
        found = [text for item in value[:MAX_ITEMS] if (text := _text_at(item, path))]
        return "\n".join(found) or None
    if not path:
        return value if isinstance(value, str) else None
    if path[0] == "*":
        return texts(value) or None
    return _text_at(value.get(path[0]), path[1:]) if isinstance(value, dict) else None


def _media(spec: MessageType, fields: Json, message: Json) -> Json:
    described: Json = {}
    if spec.cls is MessageClass.MEDIA:
        described = fields
    elif spec.reader is business.CHOICES:
        described = business.header_file(fields)
    media = {}
    for name, (sources, convert) in _MEDIA_FIELDS.items() if described else ():
        raw = next((described[source] for source in sources if described.get(source) is not None), None)
        value = None if raw is None else convert(raw)
        if value not in (None, "", False):
            media[name] = value
    if stored := referenced_name(message.get("base64")):  # ingestion has replaced the base64 text
        media[REFERENCE] = stored
    if thumbnail := thumbnail_name(fields):
        media[THUMBNAIL] = thumbnail
    added = {
        "url": coerce.url(message.get("mediaUrl")),
        "transcript": coerce.text(message.get("speechToText"), MAX_TEXT),
    }
    media |= {name: value for name, value in added.items() if value}
    return media


def _view_once(spec: MessageType, fields: Json, unwrapped: Unwrapped) -> Json:
    """Return the mark of media that can be seen once; Evolution also wraps buttons and lists like such media."""
    may_be = spec is UNKNOWN or spec.cls is MessageClass.MEDIA
    return {"view_once": True} if may_be and (unwrapped.is_view_once or fields.get("viewOnce") is True) else {}


def _truncated(text: str) -> Json:
    return {"is_truncated": True} if len(text) > MAX_TEXT else {}


def _details(spec: MessageType, body: object, key: str, text: str) -> Json:
    if spec is UNKNOWN:
        return clean({"content": key, "fields": body if isinstance(body, dict | list) else None}) if key else {}
    fields = body if isinstance(body, dict) else {}
    read = spec.reader.fields if spec.reader else ()
    names = [name for name in fields if name not in (*read, spec.answers)] if spec.details == ALL else spec.details
    kept = {name: fields[name] for name in names if name in fields}
    details = clean({**kept, **(spec.reader.read(fields) if spec.reader else {})})
    if spec.cls is MessageClass.NOTICE:
        details["content"] = key
    if spec.details == ALL:
        details = {name: value for name, value in details.items() if value != text and name not in RESERVED}
    return details
