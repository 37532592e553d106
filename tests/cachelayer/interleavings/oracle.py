"""The oracle knows all commits, so it knows what a read may return: the last commit before it started, or a later one.

There are two exceptions, which the README documents:

* A write goes into the outbox if its process cannot reach the store. Other processes see it once the outbox is drained.
  A process whose circuit breaker was open since then sees it at once, because it has drained the outbox or bypasses
  the cache.
* If the store loses the intent of a write, readers see the write from its `end` on.
"""

from dataclasses import dataclass, replace

from tests.cachelayer.interleavings.database import Rows
from tests.cachelayer.interleavings.process import Process
from tests.cachelayer.interleavings.scheduler import Actor


class StaleRead(AssertionError):
    """A read returned a value that was replaced before the read started."""


@dataclass(frozen=True)
class Commit:
    """The state of the database after one commit.

    Attributes:
        rows: all committed rows.
        writer: the actor that committed; None for the initial rows.
        is_in_outbox: whether the tags of this commit are in the outbox and not drained yet.
    """

    rows: Rows
    writer: Actor | None = None
    is_in_outbox: bool = False


class Oracle:
    """All commits, in order. A commit is identified by its index."""

    def __init__(self, rows: Rows) -> None:
        self.commits = [Commit(rows)]
        self.lost_writers: set[str] = set()  # names of actors whose intents the store has lost

    def record_commit(self, commit: Commit) -> None:
        """Add a commit."""
        self.commits.append(commit)

    def record_drain(self) -> None:
        """Mark all commits as drained from the outbox."""
        self.commits = [replace(commit, is_in_outbox=False) for commit in self.commits]

    def oldest_allowed(self, process: Process) -> int:
        """Return the oldest commit that a read may return if it starts now in this process and asks the store."""
        return max(index for index, commit in enumerate(self.commits) if self._must_be_seen(commit, process))

    def _must_be_seen(self, commit: Commit, process: Process) -> bool:
        if commit.writer is None:
            return True
        if commit.is_in_outbox and commit.writer.process is not process and not process.has_degraded:
            return False
        return commit.writer.name not in self.lost_writers or (
            commit.writer.is_finished and not commit.writer.process.is_dead
        )

    def oldest_allowed_locally(self, process: Process) -> int:
        """Return the oldest commit that the local cache may return now: the last one whose invalidation it received."""
        names = {sender for sender, _ in process.local.received}
        return max(
            index
            for index, commit in enumerate(self.commits)
            if commit.writer is None or commit.writer.name in names or commit.writer.process is process
        )

    def allowed_rows(self, oldest: int) -> list[Rows]:
        """Return the rows after the oldest allowed commit and after each later one."""
        return [commit.rows for commit in self.commits[oldest:]]
