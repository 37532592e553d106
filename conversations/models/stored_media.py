"""Which files of a message are stored, as its row tells; no file is looked at."""

from conversations.evolution.media_names import REFERENCE, is_media_of
from conversations.evolution.thumbnails import THUMBNAIL
from conversations.models.message import Message

_PICTURES = frozenset({Message.Kind.IMAGE, Message.Kind.STICKER})


def stored_name(row: Message, member: str) -> str:
    """Return the name of a file of a message, as a member of `Message.media` holds it; "" if the message has none."""
    name = row.media.get(member)
    return str(name) if is_media_of(row.instance_id, name) else ""


def has_thumbnail(row: Message) -> bool:
    """Return whether a message has a thumbnail, or a picture of which one can be made."""
    if stored_name(row, THUMBNAIL):
        return True
    mimetype = row.media.get("mimetype")
    is_picture = row.kind in _PICTURES or (isinstance(mimetype, str) and mimetype.startswith("image/"))
    return is_picture and bool(stored_name(row, REFERENCE))
