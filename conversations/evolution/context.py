"""Parses the context of a message: quoted message, mentions, forwarding, advertisement, and membership in an album."""

from collections.abc import Iterator
from dataclasses import dataclass

from conversations.evolution import coerce, jid
from conversations.evolution.coerce import Json
from conversations.evolution.content import Content, quoted_text
from conversations.evolution.details import MAX_NAME, clean
from conversations.evolution.jid import Address
from conversations.evolution.message_types import MessageClass

# Fields of `contextInfo` that are stored in `details`: mentions, forwarding, expiry, origin and clicked advertisement.
# Fields whose names start with `ctwa` (click to WhatsApp) are stored as well.
_STORED = frozenset(
    {
        "mentionedJid",
        "groupMentions",
        "isForwarded",
        "forwardingScore",
        "forwardedNewsletterMessageInfo",
        "externalAdReply",
        "conversionSource",
        "entryPointConversionSource",
        "entryPointConversionApp",
        "utm",
        "expiration",
        "isGroupStatus",
    }
)
MAX_CONTEXT_BYTES = 3000  # maximum bytes of the stored fields of one context
MAX_CONTEXT_DEPTH = 4  # levels of objects inside of a content in which its context is searched
# Values of `associationType`, which says how a message belongs to another one.
_ALBUM = (1, "MEDIA_ALBUM")
_SUPPLEMENTS = (
    *(3, "EVENT_COVER_IMAGE"),
    *(5, "HD_VIDEO_DUAL_UPLOAD"),
    *(7, "MEDIA_POLL"),
    *(10, "HD_IMAGE_DUAL_UPLOAD"),
    *(12, "MOTION_PHOTO"),
    *(19, "HEVC_VIDEO_DUAL_UPLOAD"),
)


@dataclass(frozen=True)
class MessageContext:
    """The context of a message.

    Attributes:
        quoted_key_id: the key id of the message that this one answers or comments, or "".
        quoted_sender: the JID of the quoted message's sender, or "".
        quoted_text: the text of the quoted message, or its kind in brackets.
        details: fields for `Message.details`. `quoted_chat` is the JID of the quoted message's chat if that is another
            chat or a status. `mentions_all` is true if everybody in a group is mentioned. `album_id` is the key id of
            the album that the message is part of; `parent` names another message to which this one belongs.
        is_supplement: whether the message only completes its parent, as a copy of a picture in high definition does.
    """

    quoted_key_id: str
    quoted_sender: str
    quoted_text: str
    details: Json
    is_supplement: bool = False


def parse_context(record: Json, content: Content, chat: Address) -> MessageContext:
    """Parse the context of a message record with the given content, in the conversation with the address `chat`."""
    context = _find_context(record, content)
    target = content.answered_key or _quoted_key(record)
    parent, association = _association(content)
    if not (context or target or parent):  # most messages
        return MessageContext("", "", "", {})
    stored = {name: value for name, value in context.items() if name in _STORED or name.startswith("ctwa")}
    album_id = parent if association in _ALBUM else ""
    derived: Json = {
        "mentions_all": bool(coerce.int64(context.get("nonJidMentions"))),
        "quoted_chat": _other_chat(context.get("remoteJid") or target.get("remoteJid"), chat),
        "album_id": album_id,
        "parent": {"key_id": parent, "association": association} if parent and not album_id else {},
    }
    return MessageContext(
        quoted_key_id=coerce.key_id(context.get("stanzaId")) or coerce.key_id(target.get("id")),
        quoted_sender=coerce.text(context.get("participant") or target.get("participant"), 128),
        quoted_text=quoted_text(context.get("quotedMessage")) or _quoted_question(context),
        details={name: value for name, value in {**clean(stored, MAX_CONTEXT_BYTES), **derived}.items() if value},
        is_supplement=bool(parent) and association in _SUPPLEMENTS and content.cls is MessageClass.MEDIA,
    )


def _find_context(record: Json, content: Content) -> Json:
    """Return the first `contextInfo` that is found in the record, in the content and in the `message` object.

    A template has it in its inner form, and a payment in its note, so the content is searched to some depth.
    """
    fields = content.fields
    for level in (record, fields, content.unwrapped.message):
        context = level.get("contextInfo")
        if context and isinstance(context, dict):
            return context
    nested = _nested_contexts(fields, MAX_CONTEXT_DEPTH) if fields else ()
    return next((context for context in nested if context and isinstance(context, dict)), {})


def _nested_contexts(fields: Json, depth: int) -> Iterator[object]:
    """Yield the contexts in the objects of a content. Bytes are objects by index; quotes have contexts of others."""
    for name, member in fields.items() if depth else ():
        if isinstance(member, dict) and "0" not in member and name != "contextInfo":
            yield member.get("contextInfo")
            yield from _nested_contexts(member, depth - 1)


def _other_chat(raw: object, chat: Address) -> str:
    """Return the JID of the quoted message's chat if that is not `chat`.

    In a direct chat, an address of a person is the contact or the instance, seen from either side.
    """
    other = jid.parse(raw)
    if other is None or other.key == chat.key or (other.is_person and chat.is_person):
        return ""
    return other.jid


def _quoted_question(context: Json) -> str:
    """Return the text to which a channel replied: a follower's answer, else the channel's question; "" if none."""
    quoted = context.get("questionReplyQuotedMessage")
    quoted = quoted if isinstance(quoted, dict) else {}
    return quoted_text(quoted.get("quotedResponse")) or quoted_text(quoted.get("quotedQuestion"))


def _quoted_key(record: Json) -> Json:
    """Return the key of the quoted message from `message.quoted`, where Evolution's own channel writes it."""
    message = record.get("message")
    quoted = message.get("quoted") if isinstance(message, dict) else None
    quoted = quoted.get("key", quoted) if isinstance(quoted, dict) else None
    return quoted if isinstance(quoted, dict) else {}


def _association(content: Content) -> tuple[str, int | str]:
    """Return the key id of the message that this one belongs to, and how it belongs to it; ("", 0) if there is none."""
    info = content.unwrapped.message.get("messageContextInfo")
    association = info.get("messageAssociation") if isinstance(info, dict) else None
    if not isinstance(association, dict) or not isinstance(association.get("parentMessageKey"), dict):
        return "", 0
    how = association.get("associationType")
    name_or_number = coerce.text(how, MAX_NAME) or coerce.int64(how) or 0
    return coerce.key_id(association["parentMessageKey"].get("id")), name_or_number
