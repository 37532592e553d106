"""Media that comes inside a webhook as base64: kept as files named by their content, so that rows stay small.

The same file again is the same name: posting an event twice writes nothing. Where files live is Django's default
storage (`MEDIA_DIR`).
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
    """Move the media of a body's message records into files; each record then names its file.

    Args:
        instance: whose folder the files go to.
        body: decoded JSON of any type; its records' `message.base64` are replaced in place by `{"file": name}`.

    Raises:
        OSError: a file cannot be written.
    """
    for record in as_list(body.get("data")) if isinstance(body, dict) else ():
        message = record.get("message") if isinstance(record, dict) else None
        if isinstance(message, dict) and FIELD in message:
            name = _save(instance, message[FIELD])
            message[FIELD] = {"file": name} if name else None
    return body


def _save(instance: Instance, text: object) -> str:
    """Write one file and return its name; "" for what is no base64."""
    if not isinstance(text, str):
        return ""
    try:
        content = base64.b64decode(text, validate=True)
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
