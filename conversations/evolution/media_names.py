"""The names of stored media files: `<primary key of the instance>/<first two digits of the hash>/<SHA-256 hash>`.

Ingestion replaces the base64 text of a medium in a webhook body by `{"file": name}`. A sender may post such an object
too, so a name is only believed if it has exactly this form, and is only served to messages of the instance in the name.
"""

import re

REFERENCE = "file"  # the member that holds the name of a media file
REMOVED = "is_removed"  # the member of `Message.media` that says that retention has deleted the file
_NAME = re.compile(r"[1-9][0-9]{0,18}/([0-9a-f]{2})/\1[0-9a-f]{62}", re.ASCII)


def media_name(instance: int, digest: str) -> str:
    """Return the name of an instance's media file.

    Args:
        instance: the instance's primary key.
        digest: the SHA-256 hash of the file's content, as hexadecimal digits.
    """
    return f"{instance}/{digest[:2]}/{digest}"


def is_media_name(value: object) -> bool:
    """Return whether a value is a text with the form of a media file's name."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def is_media_of(instance: int, value: object) -> bool:
    """Return whether a value is the name of a media file that belongs to the instance with a primary key."""
    return is_media_name(value) and str(value).startswith(f"{instance}/")
