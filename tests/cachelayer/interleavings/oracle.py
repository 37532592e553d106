"""The oracle tells what a read may return: the value of the last commit before the read started, or of a later commit.

The README documents two exceptions:

* If the writing process alone cannot reach the store, the tags of the write go into the outbox. Other processes need
  not see the write before the outbox is drained. But a process whose circuit breaker has ever been open must see the
  write immediately, because such a process has drained the outbox or bypasses the cache.
* If the store loses the intent of a write, reads may be stale until the writer has called `end`.
"""

from dataclasses import dataclass, replace

from tests.cachelayer.interleavings.database import Rows
from tests.cachelayer.interleavings.process import Process
from tests.cachelayer.interleavings.scheduler import Actor


class StaleRead(AssertionError):
    """A read returned a value that was replaced before the read started."""


@dataclass(frozen=True)
class Commit:
    """The committed rows of the database after one commit.

    Attributes:
        rows: all committed rows after the commit, also rows that the commit did not change.
        writer: the actor that committed; None for the initial rows.
        is_in_outbox: whether the outbox still holds the tags of the commit.
    """

    rows: Rows
    writer: Actor | None = None
    is_in_outbox: bool = False


class Oracle:
    """Records all commits in order, and tells which commits a read may return. An index identifies a commit."""

    def __init__(self, rows: Rows) -> None:
        self.commits = [Commit(rows)]
        self.lost_writers: set[str] = set()  # names of actors whose write intents the store has lost

    def record_commit(self, commit: Commit) -> None:
        """Add a commit to the recorded commits."""
        self.commits.append(commit)

    def record_drain(self) -> None:
        """Record that the outbox was drained, so that no commit has tags in the outbox."""
        self.commits = [replace(commit, is_in_outbox=False) for commit in self.commits]

    def oldest_allowed(self, process: Process) -> int:
        """Return the oldest commit whose rows a process may read from the store if the read starts now."""
        return max(index for index, commit in enumerate(self.commits) if self._must_be_seen(commit, process))

    def _must_be_seen(self, commit: Commit, process: Process) -> bool:
        if commit.writer is None:
            return True
        is_alone = commit.is_in_outbox and commit.writer.process.can_be_cut_off
        if is_alone and commit.writer.process is not process and not process.has_degraded:
            return False
        return commit.writer.name not in self.lost_writers or (
            commit.writer.is_finished and not commit.writer.process.is_dead
        )

    def oldest_allowed_locally(self, process: Process) -> int:
        """Return the oldest commit whose rows the local cache may return: the last one that the process was told of."""
        names = {sender for sender, _ in process.local.received}
        return max(
            index
            for index, commit in enumerate(self.commits)
            if commit.writer is None or commit.writer.name in names or commit.writer.process is process
        )

    def allowed_rows(self, oldest: int) -> list[Rows]:
        """Return the committed rows after the oldest allowed commit, and after each later commit."""
        return [commit.rows for commit in self.commits[oldest:]]
