"""Writes a video without a codec: each frame is the VP8 image of a WebP file, in a WebM file.

WebM consists of EBML elements, each with an id, a length and content (https://www.rfc-editor.org/rfc/rfc8794 and
https://www.matroska.org/technical/elements.html).
"""

import struct
from collections.abc import Iterable, Sequence

from PIL import Image

from conversations.demo.media.pictures import webp

_VIDEO_TRACK = 1
_KEY_FRAME = 0x80


def webm(frames: Sequence[Image.Image], milliseconds: int) -> bytes:
    """Return a WebM file that shows each frame for some milliseconds."""
    width, height = frames[0].size
    header = _element(
        "1A45DFA3",
        *(_number("4286", 1), _number("42F7", 1), _number("42F2", 4), _number("42F3", 8)),
        *(_element("4282", b"webm"), _number("4287", 2), _number("4285", 2)),
    )
    duration = struct.pack(">d", len(frames) * milliseconds)
    info = _element(
        "1549A966",
        *(_number("2AD7B1", 1_000_000), _element("4489", duration)),
        *(_element("4D80", b"demo"), _element("5741", b"demo")),
    )
    picture = _element("E0", _number("B0", width), _number("BA", height))
    track = _element(
        "AE",
        *(_number("D7", _VIDEO_TRACK), _number("73C5", _VIDEO_TRACK), _number("83", 1), _number("9C", 0)),
        *(_element("86", b"V_VP8"), picture),
    )
    clusters = (_cluster(webp(frame), number * milliseconds) for number, frame in enumerate(frames))
    return header + _element("18538067", info, _element("1654AE6B", track), *clusters)


def _cluster(file: bytes, at: int) -> bytes:
    block = struct.pack(">BhB", 0x80 | _VIDEO_TRACK, 0, _KEY_FRAME) + _vp8_frame(file)
    return _element("1F43B675", _number("E7", at), _element("A3", block))


def _vp8_frame(file: bytes) -> bytes:
    """Return the content of the chunk `VP8 ` of a WebP file."""
    start = file.index(b"VP8 ") + 4
    (length,) = struct.unpack_from("<I", file, start)
    return file[start + 4 : start + 4 + length]


def _element(name: str, *content: bytes) -> bytes:
    return bytes.fromhex(name) + _length(map(len, content)) + b"".join(content)


def _number(name: str, value: int) -> bytes:
    return _element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _length(lengths: Iterable[int]) -> bytes:
    """Return a length in eight bytes, the first of which says so."""
    return b"\x01" + sum(lengths).to_bytes(7, "big")
