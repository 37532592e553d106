"""Parses the content of chat messages.

A content key is the member of a `message` object that holds the content, such as `imageMessage`. The table `SPECS`
describes how to parse each content key. A content key without an entry in `SPECS` gives a chat message of kind
`unknown`, because WhatsApp adds content keys without notice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from conversations.evolution import coerce
from conversations.evolution.coerce import Json

# Content keys of wrappers: objects whose own `message` member holds the actual content.
WRAPPERS = frozenset(
    {
        "ephemeralMessage",
        "viewOnceMessage",
        "viewOnceMessageV2",
        "viewOnceMessageV2Extension",
        "documentWithCaptionMessage",
        "editedMessage",
        "associatedChildMessage",
        "groupMentionedMessage",
        "lottieStickerMessage",
        "botInvokeMessage",
        "deviceSentMessage",
    }
)
MAX_WRAPPERS = 5  # maximum number of nested wrappers that `unwrap` removes

# Members of a `message` object that are not content keys.
METADATA_KEYS = frozenset(
    {
        "messageContextInfo",
        "senderKeyDistributionMessage",
        "base64",
        "mediaUrl",
        "speechToText",
        "contextInfo",
        "quoted",
    }
)

# Content keys of control messages between WhatsApp clients. Control messages are neither shown nor counted as unread.
CONTROL_KEYS = frozenset(
    {
        "protocolMessage",
        "reactionMessage",
        "pollUpdateMessage",
        "keepInChatMessage",
        "pinInChatMessage",
        "encReactionMessage",
        "secretEncryptedMessage",
        "albumMessage",
        "senderKeyDistributionMessage",
    }
)


@dataclass(frozen=True)
class Content:
    """The parsed content of one chat message.

    Attributes:
        key: the content key, such as `imageMessage`; "" if the `message` object has no content.
        message_type: the `messageType` of the message record.
        body: the JSON value of the content key, of any type.
        kind: a value of `models.Message.Kind`.
        text: the text of the chat message, or the caption of its media file.
        media: metadata of the media file, such as `mimetype` and `size`.
        details: other stored fields of the content, such as the coordinates of a location.
    """

    key: str
    message_type: str
    body: Any
    kind: str
    text: str = ""
    media: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)

    @property
    def is_control(self) -> bool:
        """Whether the content belongs to a control message, which is not shown to users."""
        return (self.key or self.message_type) in CONTROL_KEYS


@dataclass(frozen=True)
class ContentSpec:
    """Describes how to parse the value of one content key.

    Attributes:
        kind: the kind of the chat message, a value of `models.Message.Kind`.
        text_paths: dotted paths to fields that may hold the text; the first field with a text is used.
        has_media: whether the content describes a media file.
        detail_names: names of the content's fields that are stored in `Content.details`.
    """

    kind: str
    text_paths: tuple[str, ...] = ()
    has_media: bool = False
    detail_names: tuple[str, ...] = ()


TEMPLATE_TEXT_PATHS = (
    "hydratedTemplate.hydratedContentText",
    "hydratedFourRowTemplate.hydratedContentText",
    "interactiveMessageTemplate.body.text",
)

SPECS = {
    "conversation": ContentSpec("text"),
    "extendedTextMessage": ContentSpec("text", ("text",)),
    "imageMessage": ContentSpec("image", ("caption",), has_media=True),
    "videoMessage": ContentSpec("video", ("caption",), has_media=True),
    "ptvMessage": ContentSpec("video_note", ("caption",), has_media=True),
    "audioMessage": ContentSpec("audio", has_media=True),
    "documentMessage": ContentSpec("document", ("caption",), has_media=True),
    "stickerMessage": ContentSpec("sticker", has_media=True),
    "locationMessage": ContentSpec(
        "location", ("name", "address"), detail_names=("degreesLatitude", "degreesLongitude", "address")
    ),
    "liveLocationMessage": ContentSpec(
        "live_location", ("caption",), detail_names=("degreesLatitude", "degreesLongitude")
    ),
    "contactMessage": ContentSpec("contact", ("displayName",), detail_names=("vcard",)),
    "contactsArrayMessage": ContentSpec("contacts", ("displayName",), detail_names=("contacts",)),
    "pollCreationMessage": ContentSpec("poll", ("name",), detail_names=("options", "selectableOptionsCount")),
    "buttonsResponseMessage": ContentSpec("button_reply", ("selectedDisplayText",), detail_names=("selectedButtonId",)),
    "listResponseMessage": ContentSpec("list_reply", ("title",), detail_names=("description", "singleSelectReply")),
    "templateButtonReplyMessage": ContentSpec("template_reply", ("selectedDisplayText",), detail_names=("selectedId",)),
    "interactiveResponseMessage": ContentSpec(
        "interactive_reply", ("body.text",), detail_names=("nativeFlowResponseMessage",)
    ),
    "listMessage": ContentSpec(
        "list", ("title", "description"), detail_names=("description", "buttonText", "sections")
    ),
    "buttonsMessage": ContentSpec("buttons", ("contentText",), detail_names=("buttons", "footerText")),
    "templateMessage": ContentSpec("template", TEMPLATE_TEXT_PATHS),
    "interactiveMessage": ContentSpec(
        "interactive", ("body.text", "header.title"), detail_names=("nativeFlowMessage", "footer")
    ),
    "productMessage": ContentSpec("product", ("product.title", "body"), detail_names=("product",)),
    "orderMessage": ContentSpec("order", ("orderTitle", "message"), detail_names=("orderId", "itemCount", "status")),
    "eventMessage": ContentSpec(
        "event", ("name", "description"), detail_names=("description", "location", "startTime", "endTime")
    ),
    "groupInviteMessage": ContentSpec(
        "group_invite", ("groupName", "caption"), detail_names=("groupJid", "inviteCode")
    ),
}
SPECS |= {f"pollCreationMessageV{n}": SPECS["pollCreationMessage"] for n in (2, 3, 4, 5)}

# `messageType` → kind, for chat messages that the Cloud API sends as plain text (`conversation`) or without content.
_KIND_BY_MESSAGE_TYPE = {"buttonMessage": "button_reply", "interactiveMessage": "interactive_reply"}

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
    "id": (("id",), lambda value: coerce.text(value, 255)),
}


def unwrap(message: Json) -> Json:
    """Return a `message` object without its wrappers; at most `MAX_WRAPPERS` wrappers are removed."""
    for _ in range(MAX_WRAPPERS):
        inner = next((message[name] for name in message if name in WRAPPERS), None)
        inner = inner.get("message") if isinstance(inner, dict) else None
        if not isinstance(inner, dict):
            break
        message = {
            **{name: message[name] for name in ("base64", "mediaUrl", "speechToText") if name in message},
            **inner,
        }
    return message


def parse_content(message: object, message_type: str = "") -> Content:
    """Parse the `message` object of a message record.

    Args:
        message: any decoded JSON value.
        message_type: the record's `messageType`, used if `message` does not determine the kind.
    """
    outer = message if isinstance(message, dict) else {}
    inner = unwrap(outer)
    key = next((name for name, value in inner.items() if name not in METADATA_KEYS and value is not None), "")
    if not key and "senderKeyDistributionMessage" in inner:
        key = "senderKeyDistributionMessage"
    body = inner.get(key)
    spec = SPECS.get(key or message_type)
    kind = spec.kind if spec else "unknown"
    if key in ("", "conversation"):
        kind = _KIND_BY_MESSAGE_TYPE.get(message_type, kind)
    fields = body if isinstance(body, dict) else {}
    media = _media(fields, inner) if spec and spec.has_media else {}
    return Content(
        key=key,
        message_type=message_type,
        body=body,
        kind=kind,
        text=_text(spec, body),
        media=media,
        details=_details(spec, fields, key, outer),
    )


def quoted_text(message: object) -> str:
    """Return the text of a quoted chat message, or the kind in brackets (`[image]`) if the message has no text."""
    if not isinstance(message, dict) or not message:
        return ""
    content = parse_content(message)
    return content.text or f"[{content.kind}]"


def _text(spec: ContentSpec | None, body: object) -> str:
    if isinstance(body, str):
        return body
    for path in spec.text_paths if spec else ("text", "caption"):
        value: object = body
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            return value
    return ""


def _media(fields: Json, inner: Json) -> Json:
    media = {}
    for name, (sources, convert) in _MEDIA_FIELDS.items():
        raw = next((fields[source] for source in sources if fields.get(source) is not None), None)
        value = None if raw is None else convert(raw)
        if value not in (None, "", False):
            media[name] = value
    if isinstance(inner.get("base64"), dict):  # ingestion replaced the base64 text with the name of a stored file
        media["file"] = coerce.text(inner["base64"].get("file"), 255)
    for name, source in (("url", "mediaUrl"), ("transcript", "speechToText")):
        if value := coerce.text(inner.get(source)):
            media[name] = value
    return media


def _details(spec: ContentSpec | None, fields: Json, key: str, outer: Json) -> Json:
    names = spec.detail_names if spec else ()
    details = {name: fields[name] for name in names if fields.get(name) not in (None, "", [])}
    if spec is None and key:
        details["content"] = key
    if _is_view_once(outer):
        details["viewOnce"] = True
    return details


def _is_view_once(message: Json) -> bool:
    for _ in range(MAX_WRAPPERS):
        wrapper = next((name for name in message if name in WRAPPERS), "")
        if wrapper.startswith("viewOnce"):
            return True
        inner = message.get(wrapper)
        message = inner["message"] if isinstance(inner, dict) and isinstance(inner.get("message"), dict) else {}
    return False
