"""Builds the payloads of Baileys chat messages of every kind, in the format of Evolution 2.3.6 and later."""

import base64
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from conversations.demo.addressing import ChatAddressing
from conversations.demo.chat_plan import Chat, ChatAction
from conversations.demo.demo_clock import SECOND
from conversations.demo.events import Json
from conversations.demo.rng import Random, digits, hexadecimal, index_bytes

# Length in bytes of generated thumbnails, hashes and encryption keys. Real values are longer, but each byte takes
# about ten characters in the payload.
_BLOB_BYTES = 4
_NO_CONTEXT: Json = {"mentionedJid": [], "groupMentions": [], "statusAttributions": []}
_MEDIA_FOLDERS = {
    "imageMessage": "t62.7118-24",
    "videoMessage": "t62.7161-24",
    "ptvMessage": "t62.7161-24",
    "audioMessage": "t62.7117-24",
    "documentMessage": "t62.7119-24",
    "stickerMessage": "t62.15575-24",
}


def record(addressing: ChatAddressing, action: ChatAction, rng: Random, *, key: Json, status: str) -> Json:
    """Return the object that `messages.upsert`, `messages.set` and `send.message` contain for a message.

    Args:
        addressing: the addresses of the message's chat.
        action: the message as the plan of the chat describes it.
        rng: random generator that draws ids and bytes.
        key: the message key.
        status: Evolution's name of the message's delivery status.
    """
    kind, body = content(action, rng)
    context = _context(addressing, action, rng)
    message: Json = {kind: body}
    if isinstance(body, dict) and context:
        body["contextInfo"] = context
    if action.author is not None and "addressingMode" in key:  # an inbound message sent after the number was connected
        message["messageContextInfo"] = _device_metadata(action, rng)
    data = record_around(addressing.chat, action, key=key, message=message, status=status)
    if context or kind != "conversation":
        data["contextInfo"] = context or None
    return data


def record_around(chat: Chat, action: ChatAction, *, key: Json, message: Json, status: str) -> Json:
    """Return the payload object of a message with this content; the first key of `message` is the content's type."""
    return {
        "key": key,
        "pushName": _push_name(chat, action),
        "status": status,
        "message": message,
        "messageType": next(iter(message)),
        "messageTimestamp": action.at // SECOND,
        "instanceId": chat.instance.instance_id,
        "source": _source(action),
    }


def _push_name(chat: Chat, action: ChatAction) -> str:
    """Return the author's name: a contact's own name, "Você" for the API, the profile name for the owner's phone."""
    if action.author:
        return action.author.push_name
    return chat.instance.profile_name if action.is_from_phone else "Você"


def _source(action: ChatAction) -> str:
    if action.author:
        return action.author.source
    return "ios" if action.is_from_phone else "web"


def _context(addressing: ChatAddressing, action: ChatAction, rng: Random) -> Json:
    """Return the `contextInfo` of a message: the message that it quotes and the people that it mentions."""
    mentioned = addressing.mentioned(action)
    if not action.target and not mentioned:
        return {}
    context = {**_NO_CONTEXT, "mentionedJid": mentioned}
    if action.target:
        kind, body = content(action.target, rng)
        context |= {
            "stanzaId": action.target.key_id,
            "participant": addressing.author(action.target),
            "quotedMessage": {kind: body},
        }
    return context


def int64(value: int, *, unsigned: bool = True) -> Json:
    """Return a 64-bit integer as two 32-bit halves; the lower half is signed, as in JavaScript's bit operations."""
    low = value & 0xFFFFFFFF
    return {"low": low - 2**32 if low >= 2**31 else low, "high": value >> 32, "unsigned": unsigned}


def content(action: ChatAction, rng: Random) -> tuple[str, Any]:
    """Return the type of a message's content in the payload, such as "imageMessage", and the content."""
    return _BUILDERS[action.kind](action, rng)


def reaction(action: ChatAction, key: Json) -> Json:
    """Return the content of a reaction to the message with this key; a removed reaction has an empty text."""
    text = action.argument if action.kind == "react" else ""
    return {"key": key, "text": text, "senderTimestampMs": int64(action.at, unsigned=False)}


def vote(action: ChatAction, key: Json, rng: Random) -> Json:
    """Return the content of a vote in the poll with this message key."""
    return {
        "pollCreationMessageKey": key,
        "vote": {
            "encPayload": index_bytes(rng, _BLOB_BYTES),
            "encIv": index_bytes(rng, _BLOB_BYTES),
            "selectedOptions": [action.argument],
        },
        "senderTimestampMs": int64(action.at, unsigned=False),
    }


def _device_metadata(action: ChatAction, rng: Random) -> Json:
    """Return `messageContextInfo`, which WhatsApp clients add to the content of a message."""
    return {
        "deviceListMetadata": {
            "senderKeyHash": index_bytes(rng, _BLOB_BYTES),
            "senderTimestamp": int64(action.at // SECOND - 86400),
            "senderKeyIndexes": [],
            "recipientKeyIndexes": [],
        },
        "deviceListMetadataVersion": 2,
        "messageSecret": index_bytes(rng, _BLOB_BYTES),
    }


def poll_options(action: ChatAction) -> list[str]:
    """Return the names of a poll's options."""
    return action.argument.split("|")[1:]


def _text(action: ChatAction, _: Random) -> tuple[str, Any]:
    return "conversation", action.text


def _media(key: str, mimetype: str, size: int, action: ChatAction, rng: Random) -> Json:
    path = f"/v/{_MEDIA_FOLDERS[key]}/{base64.urlsafe_b64encode(rng.randbytes(18)).decode()}?ccb=11-4&oe=6B000000"
    return {
        "url": f"https://mmg.whatsapp.net{path}&mms3=true",
        "mimetype": mimetype,
        "fileSha256": index_bytes(rng, _BLOB_BYTES),
        "fileLength": int64(size),
        "mediaKey": index_bytes(rng, _BLOB_BYTES),
        "fileEncSha256": index_bytes(rng, _BLOB_BYTES),
        "directPath": path,
        "mediaKeyTimestamp": int64(action.at // SECOND - 30, unsigned=False),
    }


def _caption(action: ChatAction) -> Json:
    return {"caption": action.text} if action.text else {}


def _dimensions(text: str) -> Json:
    width, height = map(int, text.split("x"))
    return {"height": height, "width": width}


def _image(action: ChatAction, rng: Random) -> tuple[str, Any]:
    dimensions, size = action.argument.split()
    return "imageMessage", {
        **_media("imageMessage", "image/jpeg", int(size), action, rng),
        **_caption(action),
        **_dimensions(dimensions),
        "interactiveAnnotations": [],
        "annotations": [],
        "jpegThumbnail": index_bytes(rng, _BLOB_BYTES),
    }


def _video(key: str) -> Callable[[ChatAction, Random], tuple[str, Any]]:
    def build(action: ChatAction, rng: Random) -> tuple[str, Any]:
        dimensions, size, seconds = action.argument.split()
        return key, {
            **_media(key, "video/mp4", int(size), action, rng),
            **_caption(action),
            "seconds": int(seconds),
            **_dimensions(dimensions),
            "gifPlayback": False,
            "jpegThumbnail": index_bytes(rng, _BLOB_BYTES),
        }

    return build


def _voice(action: ChatAction, rng: Random) -> tuple[str, Any]:
    seconds = int(action.argument)
    return "audioMessage", {
        **_media("audioMessage", "audio/ogg; codecs=opus", 2280 * seconds, action, rng),
        "seconds": seconds,
        "ptt": True,
        "waveform": index_bytes(rng, 2 * _BLOB_BYTES),
    }


def _document(action: ChatAction, rng: Random) -> tuple[str, Any]:
    mimetype, size, pages = action.argument.split()
    return "documentMessage", {
        **_media("documentMessage", mimetype, int(size), action, rng),
        "title": action.text,
        "fileName": action.text,
        "pageCount": int(pages),
        "contactVcard": False,
    }


def _sticker(action: ChatAction, rng: Random) -> tuple[str, Any]:
    return "stickerMessage", {
        **_media("stickerMessage", "image/webp", rng.randrange(9_000, 60_000), action, rng),
        "height": 512,
        "width": 512,
        "isAnimated": rng.random() < 0.5,  # noqa: PLR2004 - half of the stickers are animated
    }


def location(action: ChatAction) -> Json:
    """Return the coordinates, name and address of a shared location."""
    point, name, address = action.argument.split("|")
    latitude, longitude = map(float, point.split())
    return {"degreesLatitude": latitude, "degreesLongitude": longitude, "name": name, "address": address}


def _location(action: ChatAction, rng: Random) -> tuple[str, Any]:
    return "locationMessage", {**location(action), "jpegThumbnail": index_bytes(rng, _BLOB_BYTES)}


def _contact(action: ChatAction, rng: Random) -> tuple[str, Any]:
    return "contactMessage", {"displayName": card_name(action), "vcard": vcard(action, rng)}


def card_name(action: ChatAction) -> str:
    """Return the name on a contact card: the person's name and role."""
    return " ".join(action.argument.split("|"))


def vcard(action: ChatAction, rng: Random) -> str:
    """Return a contact card in vCard format, with an invented phone number."""
    name, number = card_name(action), digits(rng, 4)
    tel = f"item1.TEL;waid=551190000{number}:+55 11 90000-{number}"
    return f"BEGIN:VCARD\nVERSION:3.0\nN:;{name};;;\nFN:{name}\n{tel}\nitem1.X-ABLabel:Celular\nEND:VCARD"


def _poll(action: ChatAction, _: Random) -> tuple[str, Any]:
    options = [
        {"optionName": name, "optionHash": sha256(name.encode()).hexdigest()[:16]} for name in poll_options(action)
    ]
    return "pollCreationMessageV3", {
        "name": action.argument.split("|", maxsplit=1)[0],
        "options": options,
        "selectableOptionsCount": 1,
    }


def _button(action: ChatAction, rng: Random) -> tuple[str, Any]:
    return "buttonsResponseMessage", {
        "selectedButtonId": hexadecimal(rng, 6).lower(),
        "type": 1,
        "selectedDisplayText": action.argument,
    }


_BUILDERS: dict[str, Callable[[ChatAction, Random], tuple[str, Any]]] = {
    "text": _text,
    "fails": _text,
    "image": _image,
    "video": _video("videoMessage"),
    "note": _video("ptvMessage"),
    "voice": _voice,
    "document": _document,
    "sticker": _sticker,
    "location": _location,
    "contact": _contact,
    "poll": _poll,
    "button": _button,
}
