"""What is inside a Baileys message: one builder for each kind of bubble, in the forms of Evolution 2.3.6 and later."""

import base64
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from conversations.demo.chat_plan import ChatAction
from conversations.demo.demo_clock import SECOND
from conversations.demo.rng import Random, digits, hexadecimal, index_bytes

Json = dict[str, Any]

# Real thumbnails and hashes are longer; every byte costs ten in these payloads.
_SHORT = 4
_MEDIA_FOLDERS = {
    "imageMessage": "t62.7118-24",
    "videoMessage": "t62.7161-24",
    "ptvMessage": "t62.7161-24",
    "audioMessage": "t62.7117-24",
    "documentMessage": "t62.7119-24",
    "stickerMessage": "t62.15575-24",
}


def int64(value: int, *, unsigned: bool = True) -> Json:
    """Return a 64-bit integer as its two halves; the lower one has a sign, as JavaScript's bit operators give it."""
    low = value & 0xFFFFFFFF
    return {"low": low - 2**32 if low >= 2**31 else low, "high": value >> 32, "unsigned": unsigned}


def content(turn: ChatAction, chance: Random) -> tuple[str, Any]:
    """Return a bubble's content: its key in `message`, and what is under it."""
    return _BUILDERS[turn.kind](turn, chance)


def reaction(turn: ChatAction, key: Json) -> Json:
    """Return a reaction to the message of that key; an empty text takes one back."""
    text = turn.argument if turn.kind == "react" else ""
    return {"key": key, "text": text, "senderTimestampMs": int64(turn.at, unsigned=False)}


def vote(turn: ChatAction, key: Json, chance: Random) -> Json:
    """Return a vote in the poll of that key."""
    return {
        "pollCreationMessageKey": key,
        "vote": {
            "encPayload": index_bytes(chance, _SHORT),
            "encIv": index_bytes(chance, _SHORT),
            "selectedOptions": [turn.argument],
        },
        "senderTimestampMs": int64(turn.at, unsigned=False),
    }


def secret(turn: ChatAction, chance: Random) -> Json:
    """Return what clients put beside a content."""
    return {
        "deviceListMetadata": {
            "senderKeyHash": index_bytes(chance, _SHORT),
            "senderTimestamp": int64(turn.at // SECOND - 86400),
            "senderKeyIndexes": [],
            "recipientKeyIndexes": [],
        },
        "deviceListMetadataVersion": 2,
        "messageSecret": index_bytes(chance, _SHORT),
    }


def poll_options(turn: ChatAction) -> list[str]:
    """Return the names of a poll's options."""
    return turn.argument.split("|")[1:]


def _text(turn: ChatAction, _: Random) -> tuple[str, Any]:
    return "conversation", turn.text


def _media(key: str, mimetype: str, size: int, turn: ChatAction, chance: Random) -> Json:
    path = f"/v/{_MEDIA_FOLDERS[key]}/{base64.urlsafe_b64encode(chance.randbytes(18)).decode()}?ccb=11-4&oe=6B000000"
    return {
        "url": f"https://mmg.whatsapp.net{path}&mms3=true",
        "mimetype": mimetype,
        "fileSha256": index_bytes(chance, _SHORT),
        "fileLength": int64(size),
        "mediaKey": index_bytes(chance, _SHORT),
        "fileEncSha256": index_bytes(chance, _SHORT),
        "directPath": path,
        "mediaKeyTimestamp": int64(turn.at // SECOND - 30, unsigned=False),
    }


def _captioned(turn: ChatAction) -> Json:
    return {"caption": turn.text} if turn.text else {}


def _image(turn: ChatAction, chance: Random) -> tuple[str, Any]:
    dimensions, size = turn.argument.split()
    width, height = map(int, dimensions.split("x"))
    return "imageMessage", {
        **_media("imageMessage", "image/jpeg", int(size), turn, chance),
        **_captioned(turn),
        "height": height,
        "width": width,
        "interactiveAnnotations": [],
        "annotations": [],
        "jpegThumbnail": index_bytes(chance, _SHORT),
    }


def _video(key: str) -> Callable[[ChatAction, Random], tuple[str, Any]]:
    def build(turn: ChatAction, chance: Random) -> tuple[str, Any]:
        dimensions, size, seconds = turn.argument.split()
        width, height = map(int, dimensions.split("x"))
        return key, {
            **_media(key, "video/mp4", int(size), turn, chance),
            **_captioned(turn),
            "seconds": int(seconds),
            "height": height,
            "width": width,
            "gifPlayback": False,
            "jpegThumbnail": index_bytes(chance, _SHORT),
        }

    return build


def _voice(turn: ChatAction, chance: Random) -> tuple[str, Any]:
    seconds = int(turn.argument)
    return "audioMessage", {
        **_media("audioMessage", "audio/ogg; codecs=opus", 2280 * seconds, turn, chance),
        "seconds": seconds,
        "ptt": True,
        "waveform": index_bytes(chance, 2 * _SHORT),
    }


def _document(turn: ChatAction, chance: Random) -> tuple[str, Any]:
    mimetype, size, pages = turn.argument.split()
    return "documentMessage", {
        **_media("documentMessage", mimetype, int(size), turn, chance),
        "title": turn.text,
        "fileName": turn.text,
        "pageCount": int(pages),
        "contactVcard": False,
    }


def _sticker(turn: ChatAction, chance: Random) -> tuple[str, Any]:
    return "stickerMessage", {
        **_media("stickerMessage", "image/webp", chance.randrange(9_000, 60_000), turn, chance),
        "height": 512,
        "width": 512,
        "isAnimated": chance.random() < 0.5,  # noqa: PLR2004 - half of them
    }


def _location(turn: ChatAction, chance: Random) -> tuple[str, Any]:
    point, name, address = turn.argument.split("|")
    latitude, longitude = map(float, point.split())
    place = {"degreesLatitude": latitude, "degreesLongitude": longitude, "name": name, "address": address}
    return "locationMessage", {**place, "jpegThumbnail": index_bytes(chance, _SHORT)}


def _contact(turn: ChatAction, chance: Random) -> tuple[str, Any]:
    return "contactMessage", {"displayName": card_name(turn), "vcard": vcard(turn, chance)}


def card_name(turn: ChatAction) -> str:
    """Return the name on a contact card: who it is, and what to the sender."""
    return " ".join(turn.argument.split("|"))


def vcard(turn: ChatAction, chance: Random) -> str:
    """Return a contact card with an invented number."""
    name, number = card_name(turn), digits(chance, 4)
    tel = f"item1.TEL;waid=551190000{number}:+55 11 90000-{number}"
    return f"BEGIN:VCARD\nVERSION:3.0\nN:;{name};;;\nFN:{name}\n{tel}\nitem1.X-ABLabel:Celular\nEND:VCARD"


def _poll(turn: ChatAction, _: Random) -> tuple[str, Any]:
    options = [
        {"optionName": name, "optionHash": sha256(name.encode()).hexdigest()[:16]} for name in poll_options(turn)
    ]
    return "pollCreationMessageV3", {
        "name": turn.argument.split("|", maxsplit=1)[0],
        "options": options,
        "selectableOptionsCount": 1,
    }


def _button(turn: ChatAction, chance: Random) -> tuple[str, Any]:
    return "buttonsResponseMessage", {
        "selectedButtonId": hexadecimal(chance, 6).lower(),
        "type": 1,
        "selectedDisplayText": turn.argument,
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
