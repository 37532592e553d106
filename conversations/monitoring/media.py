"""Stores a file where media are stored, so that a full disk is noticed before it costs a message its picture."""

from contextlib import suppress
from secrets import token_bytes
from time import monotonic

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from conversations.monitoring.audit import remember

NAME = "whatsai-check"  # not in the folder of an instance, so nothing else looks at it
SIZE = 2**20  # a nearly full disk may still take a small file


def check() -> None:
    """Store a file, delete it, and remember whether that was possible.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    started = monotonic()
    remember("media", _problem(), monotonic() - started)


def _problem() -> str:
    try:
        default_storage.save(NAME, ContentFile(token_bytes(SIZE)))
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with suppress(OSError):
            default_storage.delete(NAME)
    return ""
