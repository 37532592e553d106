"""Keeps a copy of an inbox in an SQLite file, right through restarts, with `GET /api/v1/changes/`.

    python follow.py https://inbox.example.com TOKEN copy.sqlite3

The file has a table `rows` (resource, id, instance_id, row as JSON) and the cursor. Both change in one transaction, so
that the program can be stopped at any moment. It needs nothing but Python's standard library.
"""

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

PAUSE = 1.0  # seconds between two requests while nothing changes
RETRY = 5.0  # seconds to wait after a failed request
CURSOR_UNKNOWN = 410

# resource → the list of all its rows
LISTS = {
    "instance": "instances/?limit=200",
    "contact": "contacts/?limit=200",
    "conversation": "conversations/?limit=200&deleted=any",
    "message": "messages/?limit=200",
    "participants": "conversations/?limit=200&deleted=any&kind=group&fields=id,instance_id",
}
PARTICIPANTS = "conversations/{}/?fields=participants,participant_count"

Row = dict[str, Any]
Get = Callable[[str], tuple[int, Any]]


def connect(site: str, token: str) -> Get:
    """Return a function that asks for a path below `/api/v1/`, or for a URL, and returns the status and the JSON."""

    def get(path: str) -> tuple[int, Any]:
        url = path if "://" in path else f"{site.rstrip('/')}/api/v1/{path}"
        # Without this header, a list may be a moment older than the cursor.
        request = Request(url, headers={"Authorization": f"Bearer {token}", "Cache-Control": "no-cache"})  # noqa: S310 - the user names the site
        try:
            with urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
                return answer.status, json.load(answer)
        except HTTPError as error:
            with error:
                return error.code, None

    return get


class Copy:
    """The rows and the cursor in an SQLite file."""

    def __init__(self, path: str) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.executescript("""
            CREATE TABLE IF NOT EXISTS rows (
                resource TEXT, id INTEGER, instance_id INTEGER, row TEXT, PRIMARY KEY (resource, id)
            );
            CREATE TABLE IF NOT EXISTS position (cursor TEXT);
        """)

    @property
    def cursor(self) -> str:
        """The cursor up to which the copy is right; "" for an empty copy."""
        found = self.database.execute("SELECT cursor FROM position").fetchone()
        return str(found[0]) if found else ""

    def rows(self, resource: str) -> dict[int, Row]:
        """Return all rows of a resource by id."""
        found = self.database.execute("SELECT id, row FROM rows WHERE resource = ?", [resource])
        return {pk: json.loads(row) for pk, row in found}

    def begin(self) -> None:
        """Begin a transaction."""
        self.database.execute("BEGIN IMMEDIATE")

    def commit(self, cursor: str) -> None:
        """Store the cursor, and end the transaction."""
        self.database.execute("DELETE FROM position")
        self.database.execute("INSERT INTO position VALUES (?)", [cursor])
        self.database.execute("COMMIT")

    def put(self, resource: str, pk: int, instance_id: int, row: Row) -> None:
        """Store a row."""
        self.database.execute("REPLACE INTO rows VALUES (?, ?, ?, ?)", [resource, pk, instance_id, json.dumps(row)])

    def delete(self, resource: str, pk: int) -> None:
        """Delete a row, and the participants of a conversation."""
        self.database.execute("DELETE FROM rows WHERE resource = ? AND id = ?", [resource, pk])
        if resource == "conversation":
            self.delete("participants", pk)

    def clear(self, resource: str, instance_id: int | None) -> None:
        """Delete the rows of a resource, of one instance or of all."""
        self.database.execute(
            "DELETE FROM rows WHERE resource = ? AND instance_id = coalesce(?, instance_id)", [resource, instance_id]
        )


class Follower:
    """Makes a copy equal to the inbox, and keeps it so."""

    def __init__(self, copy: Copy, get: Get) -> None:
        self.copy = copy
        self.get = get

    def step(self) -> bool:
        """Apply the next changes; return whether there are more."""
        if not self.copy.cursor:
            return self.start()
        status, answer = self.get(f"changes/?limit=200&after={self.copy.cursor}")
        if status == CURSOR_UNKNOWN:
            return self.start()
        self.check(status)
        self.apply_page(answer)
        return bool(answer["has_more"])

    def apply_page(self, page: Row) -> None:
        """Apply the changes of a page, and store its cursor."""
        changes = page["results"]
        loaded = [
            (resource, change["instance_id"], list(self.load(resource, change["instance_id"])))
            for change in changes
            if change["kind"] == "reset"
            for resource in ([change["resource"]] if change["resource"] else LISTS)
        ]
        self.copy.begin()
        for change in changes:
            self.apply(change)
        for resource, instance_id, rows in loaded:
            self.replace(resource, instance_id, rows)
        self.copy.commit(page["cursor"])

    def start(self) -> bool:
        """Make the copy: first take a cursor, then load all rows. Changes meanwhile come after the cursor."""
        status, answer = self.get("changes/?after=now")
        self.check(status)
        loaded = [(resource, list(self.load(resource, None))) for resource in LISTS]
        self.copy.begin()
        for resource, rows in loaded:
            self.replace(resource, None, rows)
        self.copy.commit(answer["cursor"])
        return True

    def apply(self, change: Row) -> None:
        """Apply one change; a `reset` is applied by `replace`."""
        if change["row"] is not None:
            self.copy.put(change["resource"], change["id"], change["instance_id"], change["row"])
        elif change["kind"] == "deleted":
            self.copy.delete(change["resource"], change["id"])

    def replace(self, resource: str, instance_id: int | None, rows: list[tuple[int, Row]]) -> None:
        """Replace the rows of a resource, of one instance or of all."""
        self.copy.clear(resource, instance_id)
        for owner, row in rows:
            self.copy.put(resource, row["id"], owner, row)

    def load(self, resource: str, instance_id: int | None) -> Iterator[tuple[int, Row]]:
        """Yield the instance and the row of all rows of a resource, page by page."""
        path = LISTS[resource] + ("" if instance_id is None else f"&instance={instance_id}")
        while path:
            status, page = self.get(path)
            self.check(status)
            for row in page["results"]:
                owner = row.get("instance_id", row["id"])
                if resource == "participants":
                    status, row = self.get(PARTICIPANTS.format(row["id"]))  # noqa: PLW2901 - the row in place of its id
                    if status != 200:  # noqa: PLR2004 - deleted meanwhile
                        continue
                yield owner, row
            path = page["next"] or ""

    @staticmethod
    def check(status: int) -> None:
        """Raise an error if a request has failed; the caller tries again later."""
        if status != 200:  # noqa: PLR2004 - HTTP's OK
            raise OSError(f"the server answered {status}")


def main() -> None:
    """Follow an inbox until the program is stopped."""
    site, token, path = sys.argv[1:]
    copy = Copy(path)
    follower = Follower(copy, connect(site, token))
    with closing(copy.database):
        while True:
            try:
                has_more = follower.step()
            except OSError as error:
                print(f"trying again in {RETRY:.0f} s: {error}", file=sys.stderr)  # noqa: T201 - a command-line program
                time.sleep(RETRY)
                continue
            if not has_more:
                time.sleep(PAUSE)


if __name__ == "__main__":
    main()
