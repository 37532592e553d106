"""Stores a file where media are stored, so that a full disk is noticed before it costs a message its picture."""

import datetime as dt
from contextlib import suppress
from secrets import token_bytes
from time import monotonic

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from conversations.media.storage import MediaStorage, swept_storage
from conversations.monitoring.audit import remember

FOLDER = "monitoring"  # instances have other folders
NAME = f"{FOLDER}/check"
DISK_SIZE = 2**20  # a nearly full disk may still take a small file
BUCKET_SIZE = 2**10  # a bucket is never nearly full, and traffic costs money; with versioning, it keeps every file
LEFT_AFTER = dt.timedelta(minutes=10)  # an older file was left by a process that was killed


def check() -> None:
    """Store a file, delete it, and remember whether that was possible.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    started = monotonic()
    remember("media", _problem(), monotonic() - started)


def _problem() -> str:
    is_disk = isinstance(default_storage, MediaStorage)
    try:
        if is_disk:
            _remove_leftovers()
        default_storage.save(NAME, ContentFile(token_bytes(DISK_SIZE if is_disk else BUCKET_SIZE)))
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__
    finally:
        with suppress(OSError):
            default_storage.delete(NAME)
    return ""


def _remove_leftovers() -> None:
    """Delete unfinished files. A bucket has none: a file is there as a whole or not at all."""
    storage, before = swept_storage(), timezone.now() - LEFT_AFTER
    for file in storage.files(FOLDER):
        storage.delete_older(file.name, before)
