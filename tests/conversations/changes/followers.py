"""The client of `docs/examples/follow.py`, which asks this process's API without a network."""

import importlib.util
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from rest_framework.test import APIClient

from conversations.models import ApiToken
from tests.conversations.changes.reading import settle

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "follow.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("follow", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


follow = _load()
Rows = dict[str, dict[int, Any]]


class Follower:
    """Keeps a copy with a token."""

    def __init__(self, user: User, path: Path | str = ":memory:") -> None:
        self.client = APIClient(
            headers={"Authorization": f"Token {ApiToken.objects.issue(user)[1]}", "Cache-Control": "no-cache"}
        )
        self.path = path
        self.restart()

    def restart(self) -> None:
        """Forget all but the file."""
        self.follower = follow.Follower(follow.Copy(str(self.path)), self.get)

    def get(self, path: str) -> tuple[int, Any]:
        """Ask for a path below `/api/v1/`, or for a URL."""
        settle()
        answer = self.client.get(path if "://" in path else f"/api/v1/{path}")
        return answer.status_code, answer.json()

    def catch_up(self) -> Rows:
        """Apply all changes, and return the copy."""
        while self.follower.step():
            pass
        return self.rows()

    def rows(self) -> Rows:
        """Return the copy. Of participants, only what does not belong to the contacts."""
        found: Rows = {resource: self.follower.copy.rows(resource) for resource in follow.LISTS}
        members = found["participants"]
        found["participants"] = {
            pk: sorted((one["contact_id"], one["role"]) for one in row["participants"])
            for pk, row in members.items()
            if row["participants"]
        }
        return found

    def truth(self) -> Rows:
        """Return what a new copy of the same client has."""
        other = follow.Follower(follow.Copy(":memory:"), self.get)
        other.start()
        mine, self.follower = self.follower, other
        try:
            return self.rows()
        finally:
            self.follower = mine


def differences(follower: Follower) -> list[tuple[str, int, Any, Any]]:
    """Return resource, id, the row of the copy and the row of the API, for each row that is wrong after catching up."""
    copy, truth = follower.catch_up(), follower.truth()
    return [
        (resource, pk, copy[resource].get(pk), truth[resource].get(pk))
        for resource in truth
        for pk in sorted(copy[resource].keys() | truth[resource].keys())
        if copy[resource].get(pk) != truth[resource].get(pk)
    ]
