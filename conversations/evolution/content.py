"""What is in a bubble: one table from Evolution's content keys to a kind, its text, its media and its details.

A content key that is in no table is a bubble all the same, of kind `unknown`: new kinds appear without notice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from conversations.evolution import coerce
from conversations.evolution.coerce import Json

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
DEEPEST = 5

# Beside the content, not the content.
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

# Signals between clients: no bubble, nothing unread.
CONTROL = frozenset(
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
    """One bubble's content. `key` is "" where the payload has no content and only names a type."""

    key: str
    named: str
    body: Any
    kind: str
    text: str = ""
    media: Json = field(default_factory=dict)
    details: Json = field(default_factory=dict)

    @property
    def is_control(self) -> bool:
        """Whether it is a signal and no bubble."""
        return (self.key or self.named) in CONTROL


@dataclass(frozen=True)
class ContentSpec:
    """How to read one content key: paths to its text (the first that is there), media or not, names of details."""

    name: str
    texts: tuple[str, ...] = ()
    is_media: bool = False
    details: tuple[str, ...] = ()


TEMPLATE_TEXTS = (
    "hydratedTemplate.hydratedContentText",
    "hydratedFourRowTemplate.hydratedContentText",
    "interactiveMessageTemplate.body.text",
)

_KINDS = {
    "conversation": ContentSpec("text"),
    "extendedTextMessage": ContentSpec("text", ("text",)),
    "imageMessage": ContentSpec("image", ("caption",), is_media=True),
    "videoMessage": ContentSpec("video", ("caption",), is_media=True),
    "ptvMessage": ContentSpec("video_note", ("caption",), is_media=True),
    "audioMessage": ContentSpec("audio", is_media=True),
    "documentMessage": ContentSpec("document", ("caption",), is_media=True),
    "stickerMessage": ContentSpec("sticker", is_media=True),
    "locationMessage": ContentSpec(
        "location", ("name", "address"), details=("degreesLatitude", "degreesLongitude", "address")
    ),
    "liveLocationMessage": ContentSpec("live_location", ("caption",), details=("degreesLatitude", "degreesLongitude")),
    "contactMessage": ContentSpec("contact", ("displayName",), details=("vcard",)),
    "contactsArrayMessage": ContentSpec("contacts", ("displayName",), details=("contacts",)),
    "pollCreationMessage": ContentSpec("poll", ("name",), details=("options", "selectableOptionsCount")),
    "buttonsResponseMessage": ContentSpec("button_reply", ("selectedDisplayText",), details=("selectedButtonId",)),
    "listResponseMessage": ContentSpec("list_reply", ("title",), details=("description", "singleSelectReply")),
    "templateButtonReplyMessage": ContentSpec("template_reply", ("selectedDisplayText",), details=("selectedId",)),
    "interactiveResponseMessage": ContentSpec(
        "interactive_reply", ("body.text",), details=("nativeFlowResponseMessage",)
    ),
    "listMessage": ContentSpec("list", ("title", "description"), details=("description", "buttonText", "sections")),
    "buttonsMessage": ContentSpec("buttons", ("contentText",), details=("buttons", "footerText")),
    "templateMessage": ContentSpec("template", TEMPLATE_TEXTS),
    "interactiveMessage": ContentSpec(
        "interactive", ("body.text", "header.title"), details=("nativeFlowMessage", "footer")
    ),
    "productMessage": ContentSpec("product", ("product.title", "body"), details=("product",)),
    "orderMessage": ContentSpec("order", ("orderTitle", "message"), details=("orderId", "itemCount", "status")),
    "eventMessage": ContentSpec(
        "event", ("name", "description"), details=("description", "location", "startTime", "endTime")
    ),
    "groupInviteMessage": ContentSpec("group_invite", ("groupName", "caption"), details=("groupJid", "inviteCode")),
}
_KINDS |= {f"pollCreationMessageV{n}": _KINDS["pollCreationMessage"] for n in (2, 3, 4, 5)}

# `messageType` alone decides where the Cloud API flattens the content to `conversation`, or sends none.
_FLATTENED = {"buttonMessage": "button_reply", "interactiveMessage": "interactive_reply"}

# our name → the names that Baileys and the Cloud API have for it, and how to read its value
_MEDIA: dict[str, tuple[tuple[str, ...], Callable[[object], Any]]] = {
    "mimetype": (("mimetype", "mime_type"), lambda value: coerce.text(value, 255)),
    "size": (("fileLength", "file_size"), coerce.integer),
    "file_name": (("fileName", "filename"), lambda value: coerce.text(value, 255)),
    "title": (("title",), lambda value: coerce.text(value, 255)),
    "seconds": (("seconds",), coerce.integer),
    "width": (("width",), coerce.integer),
    "height": (("height",), coerce.integer),
    "pages": (("pageCount",), coerce.integer),
    "is_voice": (("ptt", "voice"), bool),
    "is_gif": (("gifPlayback",), bool),
    "is_animated": (("isAnimated", "isLottie", "animated"), bool),
    "is_view_once": (("viewOnce",), bool),
    "id": (("id",), lambda value: coerce.text(value, 255)),
}


def unwrap(message: Json) -> Json:
    """Take a message out of the wrappers that clients put round it, five deep at most."""
    for _ in range(DEEPEST):
        inner = next((message[name] for name in message if name in WRAPPERS), None)
        inner = inner.get("message") if isinstance(inner, dict) else None
        if not isinstance(inner, dict):
            break
        message = {
            **{name: message[name] for name in ("base64", "mediaUrl", "speechToText") if name in message},
            **inner,
        }
    return message


def read(message: object, message_type: str = "") -> Content:
    """Read a record's `message`; `message_type` helps where the content alone does not tell."""
    outer = message if isinstance(message, dict) else {}
    inner = unwrap(outer)
    key = next((name for name, value in inner.items() if name not in METADATA_KEYS and value is not None), "")
    if not key and "senderKeyDistributionMessage" in inner:
        key = "senderKeyDistributionMessage"
    body = inner.get(key)
    kind = _KINDS.get(key or message_type)
    name = kind.name if kind else "unknown"
    if key in ("", "conversation"):
        name = _FLATTENED.get(message_type, name)
    fields = body if isinstance(body, dict) else {}
    media = _media(fields, inner) if kind and kind.is_media else {}
    return Content(
        key=key,
        named=message_type,
        body=body,
        kind=name,
        text=_text(kind, body),
        media=media,
        details=_details(kind, fields, key, outer),
    )


def quoted_text(message: object) -> str:
    """Return what a quoted message shows: its text, or its kind where it has none."""
    if not isinstance(message, dict) or not message:
        return ""
    content = read(message)
    return content.text or f"[{content.kind}]"


def _text(kind: ContentSpec | None, body: object) -> str:
    if isinstance(body, str):
        return body
    for path in kind.texts if kind else ("text", "caption"):
        value: object = body
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            return value
    return ""


def _media(fields: Json, inner: Json) -> Json:
    media = {}
    for name, (sources, convert) in _MEDIA.items():
        given = next((fields[source] for source in sources if fields.get(source) is not None), None)
        value = None if given is None else convert(given)
        if value not in (None, "", False):
            media[name] = value
    if isinstance(inner.get("base64"), dict):  # detached by ingestion: a file of ours
        media["file"] = coerce.text(inner["base64"].get("file"), 255)
    for name, source in (("url", "mediaUrl"), ("transcript", "speechToText")):
        if value := coerce.text(inner.get(source)):
            media[name] = value
    return media


def _details(kind: ContentSpec | None, fields: Json, key: str, outer: Json) -> Json:
    details = {name: fields[name] for name in (kind.details if kind else ()) if fields.get(name) not in (None, "", [])}
    if kind is None and key:
        details["content"] = key
    if _is_view_once(outer):
        details["viewOnce"] = True
    return details


def _is_view_once(message: Json) -> bool:
    for _ in range(DEEPEST):
        wrapper = next((name for name in message if name in WRAPPERS), "")
        if wrapper.startswith("viewOnce"):
            return True
        inner = message.get(wrapper)
        message = inner["message"] if isinstance(inner, dict) and isinstance(inner.get("message"), dict) else {}
    return False
