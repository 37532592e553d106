"""Thumbnails are small, upright, without metadata, and the same each time; pictures that cost too much have none."""

import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conversations.media.file_types import detect
from conversations.media.thumbnails import MAX_PIXELS, MAX_SCANS, MAX_SIDE, MIMETYPE, SIZE, shrink
from tests.conversations.media.pictures import a_picture

ORIENTATION, MAKE = 0x0112, 0x010F


def opened(thumbnail: bytes) -> Image.Image:
    assert detect(thumbnail).mimetype == MIMETYPE
    return Image.open(BytesIO(thumbnail))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_large_picture_becomes_small(form: str) -> None:
    assert opened(shrink(a_picture(form, (800, 400)))).size == (SIZE[0], SIZE[0] // 2)


@pytest.mark.parametrize(
    ("mode", "color"), [("L", 7), ("1", 1), ("P", 3), ("LA", (9, 9)), ("RGBA", (1, 2, 3, 4)), ("I;16", 900)]
)
def test_every_mode_of_color_can_be_read(mode: str, color: object) -> None:
    assert opened(shrink(a_picture("PNG", color=color, mode=mode))).size == (40, 30)


def test_a_cmyk_picture_can_be_read() -> None:
    assert opened(shrink(a_picture("JPEG", mode="CMYK", color=(1, 2, 3, 4)))).mode == "RGB"


def test_a_transparent_sticker_stays_transparent() -> None:
    assert opened(shrink(a_picture("WEBP", mode="RGBA", color=(255, 0, 0, 0)))).mode == "RGBA"


def test_a_thumbnail_is_upright_and_without_metadata() -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, "camera"
    image = opened(shrink(a_picture("JPEG", (800, 400), exif=exif.tobytes())))
    assert image.size == (160, 320)
    assert not image.getexif()
    assert b"camera" not in shrink(a_picture("JPEG", exif=exif.tobytes()))


def test_the_same_picture_gives_the_same_thumbnail() -> None:
    assert shrink(a_picture("PNG")) == shrink(a_picture("PNG"))


# --- pictures that cost too much --------------------------------------------------------------------------------------
def a_bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that says it has many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("width", "height"),
    [
        (2**31 - 1, 2**31 - 1),
        (100_000, 100_000),
        (MAX_PIXELS // 1000 + 1, 1000),
        (1, MAX_SIDE + 1),
    ],
)
def test_a_decompression_bomb_is_not_decoded(width: int, height: int) -> None:
    assert shrink(a_bomb(width, height)) == b""


def test_a_picture_of_many_passes_is_not_decoded() -> None:
    picture = a_picture("JPEG", progressive=True)
    scan = picture.index(b"\xff\xda")
    end = picture.index(b"\xff", scan + 2)
    assert shrink(picture)
    assert shrink(picture[:end] + picture[scan:end] * MAX_SCANS + picture[end:]) == b""


@pytest.mark.parametrize(
    "content",
    [b"", b"not a picture", b"<svg/>", a_picture("PNG")[:60], a_picture("TIFF"), a_picture("BMP"), b"%PDF-1.7"],
)
def test_what_is_no_picture_has_no_thumbnail(content: bytes) -> None:
    assert shrink(content) == b""


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_a_damaged_picture_raises_nothing(at: int, junk: bytes) -> None:
    picture = a_picture("GIF")
    shrink(picture[:at] + junk + picture[at + len(junk) :])
