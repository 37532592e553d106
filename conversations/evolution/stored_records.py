"""Reads what a message record of Evolution's database says about the message's later fate.

Such records are the items of `findMessages` and of imports. They have no `status`, but a list `MessageUpdate` of all
statuses in any order. A record of an edited message has the new content and the time of the edit. A message revoked by
its author has no content, and one deleted through Evolution's API has `key.deleted`.

The status DELETED in `MessageUpdate` is ignored, because old Evolution versions write it for edits and stars, too.
"""

from conversations.evolution import coerce
from conversations.evolution.coerce import Json
from conversations.evolution.status import parse_status

UPDATES = "MessageUpdate"  # the field with the statuses; only records of Evolution's database have it
EDITED = "EDITED"


def highest_status(record: Json, default: str) -> int:
    """Return the highest status that the record contains; the status of `default` if it contains none."""
    ranks = [parse_status(status) for status in (record.get("status"), *_statuses(record))]
    known = [rank for rank in ranks if rank is not None]
    return max(known) if known else parse_status(default) or 0


def is_edited(record: Json) -> bool:
    """Return whether the record has the content and time of an edit instead of the original ones."""
    return UPDATES in record and record.get("message") is not None and EDITED in _statuses(record)


def is_deleted(record: Json, *, is_history: bool) -> bool:
    """Return whether the message was deleted for everyone.

    Args:
        record: the message record.
        is_history: whether the record belongs to an import.
    """
    key = record.get("key")
    is_stored = is_history or UPDATES in record
    is_revoked = is_stored and "message" in record and record["message"] is None and bool(record.get("messageType"))
    return is_revoked or (isinstance(key, dict) and key.get("deleted") is True)


def _statuses(record: Json) -> list[object]:
    updates = coerce.as_list(record.get(UPDATES))
    return [update.get("status") for update in updates if isinstance(update, dict)] if updates else []
