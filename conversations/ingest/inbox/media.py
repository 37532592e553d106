"""Moves base64 media and thumbnails out of webhook bodies into files, so that inbox rows stay small.

The name of a media file is the hash of its content, so a repeated event writes no second file. Media files are in
Django's default storage, in the folder `MEDIA_DIR`.

A body may contain hundreds of thousands of small files. The web process writes the first ones. The others stay in the
stored body, until a worker writes them (`worker.left_media`).
"""

import hashlib
import math
from io import BytesIO
from time import monotonic
from typing import Any

from django.core.files.storage import default_storage

from conversations.evolution.byte_forms import decode
from conversations.evolution.coerce import as_list
from conversations.evolution.content import MAX_WRAPPERS, find_type
from conversations.evolution.large_json.values import LargeList
from conversations.evolution.media_names import REFERENCE, media_name
from conversations.evolution.message_types import METADATA_KEYS, MessageClass
from conversations.evolution.thumbnails import find_thumbnails, referenced_name
from conversations.media.file_types import detect
from conversations.media.storage import swept_storage
from conversations.models import Instance
from logs.contexts import Context
from logs.line_limit import line_limit

FIELD = "base64"
MAX_THUMBNAIL_BYTES = 128 * 1024  # WhatsApp's have a few thousand
MAX_FILES = 200  # files of one body that the web process writes, because a request waits for them
_MAX_ENCODED = 2 * MAX_THUMBNAIL_BYTES  # the length of an encoded thumbnail: characters, or numbers

log = Context.MEDIA.logger


class MediaFiles:
    """Writes the media files of one webhook body, up to a limit.

    Args:
        instance: the instance whose primary key becomes the name of the media folder.
        limit: the maximum number of files. Files that exist already count too, so that a repeated body is stored alike.
        seconds: for how long files are written after the first one.
    """

    def __init__(self, instance: Instance, limit: float, seconds: float = math.inf) -> None:
        self._instance = instance
        self._left = limit
        self._seconds = seconds
        self._until = math.inf

    @property
    def is_full(self) -> bool:
        """Whether as many files were written as the limits permit."""
        return self._left <= 0 or monotonic() >= self._until

    def save(self, content: bytes) -> dict[str, str] | None:
        """Write content into a file, unless the file exists, and return its reference; None leaves it where it is."""
        self._left -= 1
        name = media_name(self._instance.pk, hashlib.sha256(content).hexdigest())
        _write(name, content)
        self._until = min(self._until, monotonic() + self._seconds)
        return {REFERENCE: name}


class ResumedFiles(MediaFiles):
    """Writes media until an error, and leaves the others as they are, so that what was written is not lost.

    Attributes:
        count: the number of files that were written.
        error: why no more were written; None if there was no error.
    """

    count = 0
    error: OSError | None = None

    @property
    def is_full(self) -> bool:
        """Whether the limits or an error permit no more files."""
        return self.error is not None or super().is_full

    def save(self, content: bytes) -> dict[str, str] | None:
        """Write content into a file; return None if that fails."""
        try:
            reference = super().save(content)
        except OSError as error:
            self.error = error
            return None
        self.count += 1
        return reference


class _MediaFound(Exception):
    """A medium that is not in a file."""


class _Search(MediaFiles):
    """Raises `_MediaFound` instead of writing a file."""

    def save(self, content: bytes) -> dict[str, str] | None:  # noqa: ARG002 - as in the base class
        """Tell that there is content to write."""
        raise _MediaFound


def has_media(instance: Instance, body: Any) -> bool:
    """Return whether `extract_media` would move media of a body into files. The records of a `LargeList` stay."""
    search = _Search(instance, math.inf)
    try:
        for record in _records(body):
            _extract_from_record(search, record)
    except _MediaFound:
        return True
    return False


def extract_media(instance: Instance, body: Any, limit: float = MAX_FILES) -> Any:
    """Move the media of a webhook body's message records into new files of an instance; see `move_media`."""
    return move_media(MediaFiles(instance, limit), body)


def move_media(files: MediaFiles, body: Any) -> Any:
    """Move the media of a webhook body's message records into files, and return the body.

    Args:
        files: writes the files; media that it does not write stay as they are.
        body: the decoded webhook body, of any JSON type. In each record, `message.base64` is replaced in place by
            `{"file": name}`. The same member takes up media in the field `media` of the content, where the Cloud API
            channel writes it. Text that is not base64 stays as it is; any other value becomes None. Thumbnails that are
            pictures are replaced in the same way; others stay as they are. References to files stay. A `LargeList` is
            changed later, when its records are taken.

    Raises:
        OSError: a media file cannot be written.
    """
    records = _records(body)
    if isinstance(records, LargeList):
        records.change(lambda record: _extract_from_record(files, record))
    else:
        for record in records:
            _extract_from_record(files, record)
    return body


def _records(body: Any) -> list[Any] | LargeList:
    data = body.get("data") if isinstance(body, dict) else None
    return data if isinstance(data, LargeList) else as_list(data)


def _extract_from_record(files: MediaFiles, record: Any) -> Any:
    message = record.get("message") if isinstance(record, dict) else None
    if isinstance(message, dict):
        _extract(files, message, MAX_WRAPPERS)
    return record


def _extract(files: MediaFiles, message: dict[str, Any], depth: int) -> None:
    """Move the media of a `message` object and of the messages in its wrappers into files."""
    _extract_thumbnails(files, message)
    if FIELD in message:
        message[FIELD] = _to_file(files, message[FIELD])
    for name, content in list(message.items()):
        if name in METADATA_KEYS or not isinstance(content, dict):
            continue
        if FIELD not in message and content.get("media") and find_type(name).cls is MessageClass.MEDIA:
            moved = _to_file(files, content["media"])
            if referenced_name(moved):
                message[FIELD], content["media"] = moved, None
        if depth and isinstance(content.get("message"), dict):
            _extract(files, content["message"], depth - 1)


def _extract_thumbnails(files: MediaFiles, message: dict[str, Any]) -> None:
    for parent, name in list(find_thumbnails(message)):
        encoded = parent[name]
        picture = decode(encoded) if _is_short(encoded) and not files.is_full else b""
        if len(picture) <= MAX_THUMBNAIL_BYTES and detect(picture).is_picture:
            parent[name] = files.save(picture) or encoded


def _is_short(encoded: object) -> bool:
    if isinstance(encoded, dict):
        encoded = encoded.get("data", encoded)
    return isinstance(encoded, str | list | dict) and len(encoded) <= _MAX_ENCODED


def _to_file(files: MediaFiles, encoded: object) -> object:
    """Write encoded media into a file and return its reference; what cannot be decoded is returned if it is text."""
    if files.is_full or referenced_name(encoded):
        return encoded
    content = decode(encoded)
    if not content:
        return encoded if isinstance(encoded, str) else None
    return files.save(content) or encoded


def _write(name: str, content: bytes) -> None:
    try:
        if not swept_storage().touch(name):
            default_storage.save(name, BytesIO(content))
            log.debug("Media WRITTEN", extra={"file": name, "size": len(content)})
    except OSError:
        left_out = line_limit.admit("media written")
        if left_out is not None:
            log.exception("Media NOT WRITTEN", extra={"file": name, "size": len(content), **left_out})
        raise
