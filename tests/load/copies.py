"""A copy of the site's rows, kept by a client that follows the changes. Without I/O.

Clients that follow the same keep equal rows, so each row is kept as a text, and equal texts are one object.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from rest_framework.utils.encoders import JSONEncoder

# resource → the list of all its rows
LISTS = {
    "instance": "instances/?",
    "contact": "contacts/?",
    "conversation": "conversations/?deleted=any&",
    "message": "messages/?",
    "participants": "conversations/?deleted=any&kind=group&fields=id,instance_id&",
}
SHARED_PAGES = 200  # pages that several followers receive, and that are parsed once

NOBODY = "[]"  # the text of the participants of a conversation without any

Key = tuple[str, int]  # resource and primary key
Rows = dict[Key, tuple[int | None, str]]  # the instance and the text of each row


class Change(NamedTuple):
    """One change: `text` is the row as it is now, or "" if there is none."""

    resource: str | None
    kind: str
    id: int
    instance_id: int | None
    text: str


class Page(NamedTuple):
    """Some changes, and the cursor after them."""

    cursor: str
    changes: tuple[Change, ...]

    @property
    def resets(self) -> Iterator[tuple[str, int | None]]:
        """What must be loaded anew: each resource, of one instance or of all."""
        for change in self.changes:
            if change.kind == "reset":
                yield from (
                    (resource, change.instance_id) for resource in ([change.resource] if change.resource else LISTS)
                )


class Loaded(NamedTuple):
    """All rows of a resource, of one instance or of all: (primary key, instance, text) of each."""

    resource: str
    instance_id: int | None
    rows: list[tuple[int, int, str]]


class Copy:
    """The rows that a client has.

    Attributes:
        rows: the instance and the text of each row.
        cursor: the client has all changes up to here; "" before the first load.
    """

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.cursor = ""

    def apply(self, page: Page, loaded: Iterable[Loaded]) -> None:
        """Apply changes, and then replace what had to be loaded anew."""
        for change in page.changes:
            if change.text and change.resource:
                self._put(change.resource, change.id, change.instance_id, change.text)
            elif change.kind == "deleted":
                self.rows.pop((change.resource or "", change.id), None)
                if change.resource == "conversation":
                    self.rows.pop(("participants", change.id), None)
        for one in loaded:
            for key, (instance_id, _) in list(self.rows.items()):
                if key[0] == one.resource and one.instance_id in (None, instance_id):
                    del self.rows[key]
            for pk, instance_id, text in one.rows:
                self._put(one.resource, pk, instance_id, text)
        self.cursor = page.cursor

    def _put(self, resource: str, pk: int, instance_id: int | None, text: str) -> None:
        if text == NOBODY:
            self.rows.pop((resource, pk), None)
        else:
            self.rows[resource, pk] = instance_id, text

    def wrong(self, truth: Mapping[Key, tuple[int | None, str]]) -> list[Key]:
        """Return the rows that are missing, too many, or different from the truth."""
        return [key for key in self.rows.keys() | truth.keys() if self.rows.get(key) != truth.get(key)]


@lru_cache(SHARED_PAGES)
def parse_page(body: bytes) -> Page:
    """Return the content of a page of changes, or of an event."""
    page = json.loads(body)
    changes = (
        Change(one["resource"], one["kind"], one["id"], one["instance_id"], text_of(one["resource"], one["row"]))
        for one in page["results"]
    )
    return Page(page["cursor"], tuple(changes))


def text_of(resource: str | None, row: dict[str, Any] | None) -> str:
    """Return a row as text: of participants, what does not belong to their contacts."""
    if row is None:
        return ""
    if resource == "participants":
        return json.dumps(sorted((one["contact_id"], one["role"]) for one in row["participants"]))
    return sys.intern(json.dumps(row, cls=JSONEncoder, sort_keys=True))
