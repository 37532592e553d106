"""Says whether the shared store of the cache holds a row, for tests that need a stored entry to begin with."""

from django.utils import timezone

from cachelayer.ops import inspection
from cachelayer.protocol.entries import LookupStatus
from cachelayer.runtime.runtime import get_runtime
from cachelayer.stores.base import StoreDown
from conversations.models import Contact, Message


def is_stored(row: Contact | Message) -> bool:
    """Read a row through the cache; return whether it is stored then, which takes a moment after a write."""
    type(row).objects.fetch(row.pk)
    try:
        entry = inspection.inspect(get_runtime(), inspection.key_of(type(row), row.pk), timezone.now())
    except StoreDown:
        return False  # it answers late
    return entry is not None and entry.status is LookupStatus.HIT
