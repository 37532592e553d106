"""The JSON of changes: what `changes/` answers, and what event streams and outgoing webhooks send."""

import json
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.utils.encoders import JSONEncoder

from cachelayer import cache
from conversations.api.serializers.base import EXPAND, FIELDS, RowSerializer
from conversations.api.serializers.contact import ContactSerializer
from conversations.api.serializers.conversation import ConversationDetailSerializer, ConversationSerializer
from conversations.api.serializers.instance import InstanceSerializer
from conversations.api.serializers.message import MessageSerializer
from conversations.changes.coalescing import Step
from conversations.changes.cursor import UnknownCursor
from conversations.changes.feed import NOW, RESET_ALL, Batch, follow
from conversations.changes.log import Entry, Position, Selection
from conversations.changes.rows import present_rows
from conversations.db.page_bytes import MAX_PAGE_BYTES
from conversations.models import Change

STEPS_AT_ONCE = 100  # rows that are read and measured together; each time, making serializers takes 5 ms
# resource → the serializer of its rows, and the fields that are shown; () stands for all
SERIALIZERS: dict[str, tuple[type[RowSerializer[Any]], tuple[str, ...]]] = {
    "instance": (InstanceSerializer, ()),
    "contact": (ContactSerializer, ()),
    "conversation": (ConversationSerializer, ()),
    "message": (MessageSerializer, ()),
    "participants": (ConversationDetailSerializer, ("participants", "participant_count")),
}


class CursorUnknown(APIException):
    """The cursor is not one that this database has given out."""

    status_code = status.HTTP_410_GONE
    default_code = "cursor_unknown"
    default_detail = _(
        "This cursor is unknown here; the database may have been restored. Take a new one with changes/?after=now, and "
        "then load all rows again."
    )


def read_page(
    after: str, selection: Selection, limit: int, until: Position | None = None
) -> tuple[Batch, dict[str, Any]]:
    """Return the changes after a cursor, and the JSON that shows them (see `follow`).

    Raises:
        CursorUnknown: the cursor is not one of this database's history.
    """
    try:
        batch = follow(after, selection, limit, until)
    except UnknownCursor:
        raise CursorUnknown from None
    results = show_steps(batch.steps, selection)
    if len(results) < len(batch.steps):
        batch = batch.first(len(results))
    return batch, {"cursor": batch.cursor, "has_more": batch.has_more, "results": results}


def reset_page(selection: Selection) -> dict[str, Any]:
    """Return a page that tells a reader to load all rows anew, whatever it knows."""
    batch = follow(NOW, selection, 1)
    return {"cursor": batch.cursor, "has_more": False, "results": [_change(RESET_ALL, {})]}


def as_event(page: dict[str, Any]) -> bytes:
    """Return a page as an event of an event stream (WHATWG HTML, section 9.2.6)."""
    text = json.dumps(page, cls=JSONEncoder, ensure_ascii=False, separators=(",", ":"))
    return f"id: {page['cursor']}\nevent: changes\ndata: {text}\n\n".encode()


def show_steps(steps: Sequence[Step], selection: Selection) -> list[dict[str, Any]]:
    """Return the first changes as JSON, up to about `MAX_PAGE_BYTES`, because senders decide how much a row holds."""
    results: list[dict[str, Any]] = []
    size = 0
    with cache.fresh():
        for start in range(0, len(steps), STEPS_AT_ONCE):
            part = show([step.entry for step in steps[start : start + STEPS_AT_ONCE]], selection)
            results += part
            size += len(json.dumps(part, default=str))
            if size >= MAX_PAGE_BYTES:
                break
    return results


def show(entries: Sequence[Entry], selection: Selection) -> list[dict[str, Any]]:
    """Return changes as JSON, with the present rows."""
    rows = present_rows(entries, selection)
    shown: dict[tuple[str, int], Any] = {}
    for resource, (serializer, fields) in SERIALIZERS.items():
        chosen = [key for key in rows if key[0] == resource]
        content = serializer([rows[key] for key in chosen], many=True, context={EXPAND: (), FIELDS: fields}).data
        shown |= dict(zip(chosen, content, strict=True))
    return [_change(entry, shown) for entry in entries]


def _change(entry: Entry, shown: dict[tuple[str, int], Any]) -> dict[str, Any]:
    """Return one change. Its kind follows from whether the row exists now, because the log may be older."""
    row = None if entry.row_id is None else shown.get((entry.resource, entry.row_id))
    kind = entry.kind
    if kind != Change.Kind.RESET:
        is_new = kind == Change.Kind.CREATED
        kind = Change.Kind.DELETED if row is None else Change.Kind.CREATED if is_new else Change.Kind.UPDATED
    return {
        "resource": entry.resource or None,
        "kind": str(kind),
        "id": entry.row_id,
        "instance_id": entry.instance_id,
        "conversation_id": entry.conversation_id,
        "row": row,
    }
