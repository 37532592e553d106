"""Makes the thumbnail of a picture that came without one, at the first request for it.

The thumbnail is a function of the picture, and is stored beside it. A picture is content that a sender chose, so its
size is limited before it is decoded, and a process decodes one picture at a time.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from django.core.files.storage import default_storage
from PIL import Image, ImageOps

from conversations.media.file_types import JPEG, detect
from logs.contexts import Context

SIZE = (320, 320)  # a thumbnail's greatest width and height
MIMETYPE = "image/webp"
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")  # what Pillow may decode
MAX_BYTES = 20_000_000  # of a picture
MAX_PIXELS = 25_000_000  # of a picture; a pixel takes up to 4 bytes of memory
MAX_SIDE = 20_000  # pixels in width and height; 25,000,000 rows of one pixel take four times as long
MAX_SCANS = 32  # of a JPEG; each one is a pass over all pixels, and usual files have about ten
WAIT_SECONDS = 5.0  # for other pictures of this process
MAX_WAITING = 4  # threads that wait for it; a page full of large pictures leaves the other threads to other requests
_SCAN = b"\xff\xda"
SUFFIX = ".thumbnail"

decoder = threading.Lock()
places = threading.BoundedSemaphore(1 + MAX_WAITING)
log = Context.MEDIA.logger


class BusyError(Exception):
    """Raised if this process decodes too many other pictures."""


def made_name(name: str) -> str:
    """Return the name of the file with the thumbnail of a picture; `name` is the name of the picture's file."""
    return name + SUFFIX


def is_made(name: str) -> bool:
    """Return whether a file name is one that `made_name` returns."""
    return name.endswith(SUFFIX)


def make(name: str) -> bytes:
    """Make and store the thumbnail of a stored picture.

    Returns:
        The thumbnail, of type `MIMETYPE`; b"" if the file is no picture, or is too large. That is stored too.

    Raises:
        FileNotFoundError: there is no such picture.
        BusyError: this process decodes too many other pictures.
    """
    with _turn():
        with default_storage.open(name) as file:
            content = file.read() if file.size <= MAX_BYTES else b""
        thumbnail = shrink(content)
    default_storage.save(made_name(name), BytesIO(thumbnail))
    return thumbnail


@contextmanager
def _turn() -> Iterator[None]:
    """Wait for the decoder, and keep it while the block runs."""
    if not places.acquire(blocking=False):
        raise BusyError
    try:
        if not decoder.acquire(timeout=WAIT_SECONDS):
            raise BusyError
        try:
            yield
        finally:
            decoder.release()
    finally:
        places.release()


def shrink(content: bytes) -> bytes:
    """Return the thumbnail of a picture without its metadata; b"" for what is no picture or has too many pixels."""
    if not content or (detect(content) is JPEG and content.count(_SCAN) > MAX_SCANS):
        return b""
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS or max(image.size) > MAX_SIDE:
                return b""
            image.thumbnail(SIZE)
            upright = ImageOps.exif_transpose(image)
            has_alpha = upright.has_transparency_data
            shrunk = BytesIO()
            upright.convert("RGBA" if has_alpha else "RGB").save(shrunk, "WEBP", quality=75)
    except Exception as error:  # noqa: BLE001 - Pillow raises many errors for damaged pictures
        log.info("Thumbnail NOT MADE: %s", type(error).__name__)
        return b""
    return shrunk.getvalue()
