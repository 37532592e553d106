"""Moves base64 media out of webhook bodies into files, so that inbox rows stay small.

The name of a media file is the hash of its content, so a repeated event writes no second file. Media files are in
Django's default storage, in the folder `MEDIA_DIR`.
"""

import base64
import binascii
import hashlib
from io import BytesIO
from typing import Any

from django.core.files.storage import default_storage

from conversations.evolution.coerce import as_list
from conversations.models import Instance
from logs.contexts import Context

FIELD = "base64"

log = Context.MEDIA.logger


def extract_media(instance: Instance, body: Any) -> Any:
    """Move the media of a webhook body's message records into files, and return the body.

    Args:
        instance: the instance whose primary key becomes the name of the media folder.
        body: the decoded webhook body, of any JSON type. In each record, `message.base64` is replaced in place by
            `{"file": name}`, or by None if `message.base64` is empty or not base64.

    Raises:
        OSError: a media file cannot be written.
    """
    for record in as_list(body.get("data")) if isinstance(body, dict) else ():
        message = record.get("message") if isinstance(record, dict) else None
        if isinstance(message, dict) and FIELD in message:
            name = _save(instance, message[FIELD])
            message[FIELD] = {"file": name} if name else None
    return body


def _save(instance: Instance, encoded: object) -> str:
    """Decode base64 media, write a file and return the file's name; return "" if `encoded` is empty or not base64."""
    if not isinstance(encoded, str):
        return ""
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return ""
    digest = hashlib.sha256(content).hexdigest()
    name = f"{instance.pk}/{digest[:2]}/{digest}"
    if content:
        _write(name, content)
    return name if content else ""


def _write(name: str, content: bytes) -> None:
    try:
        if not default_storage.exists(name):
            default_storage.save(name, BytesIO(content))
            log.debug("Media WRITTEN", extra={"file": name, "size": len(content)})
    except OSError:
        log.exception("Media NOT WRITTEN", extra={"file": name, "size": len(content)})
        raise
