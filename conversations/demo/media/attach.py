"""Adds files and thumbnails to the media of demo messages, as Evolution does with the setting `base64: true`."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from zlib import crc32

from conversations.demo.baileys_messages import int64
from conversations.demo.events import Json
from conversations.demo.media import document, pictures, sound, video
from conversations.demo.media.pictures import Size

_SCENES = {"sale": ("cup", "parcel"), "isp": ("router",), "store": ("mountains",)}  # topic of the instance → photos
_SPEED_TEST = re.compile(r"\b(mega|down)\b")  # in the caption of a screenshot; others show a payment
_SCREEN_PROPORTION = 1.9  # a picture that is higher than its width by this factor is a screenshot
_PHOTO: Size = (1200, 1600)
_VIDEO_WIDTH = 240
_DEFAULT_SECONDS = 6


@dataclass(frozen=True)
class MediaFile:
    """The content of a media file, its type, and its thumbnail, which may be empty."""

    content: bytes
    mimetype: str
    thumbnail: bytes = b""


def attach(record: Json, topic: str, *, has_file: bool) -> Json:
    """Add a thumbnail, and perhaps the file itself, to a message record of a webhook body; return the record.

    Args:
        record: the record, which is changed; it stays as it is if it has no media.
        topic: the topic of the instance, which decides what pictures show.
        has_file: whether Evolution sends the file. It does not for messages before the connection of the number.
    """
    message = record["message"]
    kind = next((name for name in _MAKERS if name in message), None)
    if kind is None or "media" in message[kind]:  # the Cloud API was given the address of the file
        return record
    body = message[kind]
    file = _MAKERS[kind](body, topic, crc32(record["key"]["id"].encode()))
    if file.thumbnail and "jpegThumbnail" in body:
        body["jpegThumbnail"] = {str(index): byte for index, byte in enumerate(file.thumbnail)}
    if has_file:
        body["mimetype" if "mimetype" in body else "mime_type"] = file.mimetype
        if "fileLength" in body:
            body["fileLength"] = int64(len(file.content))
        message["base64"] = base64.b64encode(file.content).decode()
    return record


# --- what each kind of message contains -------------------------------------------------------------------------------
def _size(body: Json, default: Size = _PHOTO) -> Size:
    return (body["width"], body["height"]) if "width" in body else default


def _scene(body: Json, size: Size, topic: str, draw: int) -> str:
    if size[1] / size[0] > _SCREEN_PROPORTION:
        return "speed" if _SPEED_TEST.search(body.get("caption", "")) else "payment"
    photos = _SCENES[topic]
    return photos[draw // len(pictures.TINTS) % len(photos)]


def _image(body: Json, topic: str, draw: int) -> MediaFile:
    size = _size(body)
    return _picture(_scene(body, size, topic, draw), pictures.scaled(size), draw % len(pictures.TINTS))


@cache
def _picture(scene: str, size: Size, tint: int) -> MediaFile:
    image = pictures.draw(scene, size, tint)
    return MediaFile(pictures.jpeg(image), "image/jpeg", pictures.thumbnail(image))


def _video(body: Json, topic: str, draw: int) -> MediaFile:
    size = pictures.scaled(_size(body), _VIDEO_WIDTH)
    seconds = body.get("seconds", _DEFAULT_SECONDS)
    return _film(_SCENES[topic][0], size, draw % len(pictures.TINTS), seconds)


@cache
def _film(scene: str, size: Size, tint: int, seconds: int) -> MediaFile:
    frames = [pictures.draw(scene, size, tint, number / seconds) for number in range(seconds)]
    return MediaFile(video.webm(frames, 1000), "video/webm", pictures.thumbnail(frames[0]))


def _voice(body: Json, _: str, draw: int) -> MediaFile:
    return MediaFile(_melody(body.get("seconds", _DEFAULT_SECONDS), draw % len(sound.NOTES)), "audio/wav")


_melody = cache(sound.melody)


def _document(body: Json, _: str, draw: int) -> MediaFile:
    title = body.get("fileName") or body.get("filename") or "demo.pdf"
    pages = body.get("pageCount", 1)
    lines = [f"{number:02}    R$ {draw // (number + 1) % 300},{number:02}" for number in range(1, 13)]
    content = document.pdf([[title, f"{page} / {pages}", *lines] for page in range(1, pages + 1)])
    return MediaFile(content, "application/pdf")


def _sticker(_: Json, __: str, draw: int) -> MediaFile:
    return MediaFile(_drawn_sticker(draw % len(pictures.TINTS)), "image/webp")


_drawn_sticker = cache(pictures.sticker)

# name of the content of a message → function that returns its file
_MAKERS: Mapping[str, Callable[[Json, str, int], MediaFile]] = {
    "imageMessage": _image,
    "videoMessage": _video,
    "ptvMessage": _video,
    "audioMessage": _voice,
    "documentMessage": _document,
    "stickerMessage": _sticker,
}
