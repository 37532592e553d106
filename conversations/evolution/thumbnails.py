"""Finds the thumbnails that WhatsApp puts into the content of messages, such as `jpegThumbnail`.

Ingestion replaces the bytes of a thumbnail by `{"file": name}`, as it does with media.
"""

from collections.abc import Iterator

from conversations.evolution.coerce import Json
from conversations.evolution.media_names import REFERENCE, is_media_name

THUMBNAIL = "thumbnail"  # the member of `Message.media` that holds the name of the thumbnail's file
NAMES = ("jpegThumbnail", "pngThumbnail", "thumbnail")  # the first one counts
MAX_DEPTH = 5  # levels of objects, from the `message` object: a product's picture is on the third
# The context belongs to other messages; a wrapper's `message` is read for itself.
_NOT_SEARCHED = frozenset({"contextInfo", "message"})


def find_thumbnails(content: Json, depth: int = MAX_DEPTH) -> Iterator[tuple[Json, str]]:
    """Yield each thumbnail in a `message` object or its content as the object that contains it, and its name there."""
    for name in NAMES:
        if name in content:
            yield content, name
    for name, value in content.items():
        is_bytes = type(value) is not dict or "0" in value  # hashes and keys are objects of bytes by index
        if depth and not is_bytes and name not in NAMES and name not in _NOT_SEARCHED:
            yield from find_thumbnails(value, depth - 1)


def thumbnail_name(content: Json) -> str:
    """Return the name of the file of the first thumbnail in a message's content; "" if no thumbnail has a file."""
    names = (referenced_name(parent[name]) for parent, name in find_thumbnails(content))
    return next(filter(None, names), "")


def referenced_name(value: object) -> str:
    """Return the name of the stored file to which a value `{"file": name}` refers; "" for any other value."""
    name = value.get(REFERENCE) if isinstance(value, dict) else None
    return str(name) if is_media_name(name) else ""
