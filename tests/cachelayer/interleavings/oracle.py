"""What a read may return: what was committed when it began, or something later.

Two windows are named in the README. A write that went into the outbox, for its process could not reach the store, is
seen by another process that can once somebody has drained it; unless that one has failed to reach the store too, for
then it has recovered since, or believes nothing. And a write whose intent the store has lost is seen from its `end` on.
"""

from dataclasses import dataclass, replace

from tests.cachelayer.interleavings.database import Rows
from tests.cachelayer.interleavings.process import Process
from tests.cachelayer.interleavings.schedule import Actor


class Stale(AssertionError):
    """A read returned what had been replaced before it began."""


@dataclass(frozen=True)
class Commit:
    """What was true from one commit to the next.

    Attributes:
        rows: all of them.
        writer: who has committed it; None for what was there at first.
        is_outboxed: whether others have to be told by the outbox, and have not been.
    """

    rows: Rows
    writer: Actor | None = None
    is_outboxed: bool = False


class Oracle:
    """All commits, in order."""

    def __init__(self, rows: Rows) -> None:
        self.commits = [Commit(rows)]
        self.lost: set[str] = set()  # actors whose intents the store has lost

    def committed(self, commit: Commit) -> None:
        """Note a commit."""
        self.commits.append(commit)

    def drained(self) -> None:
        """Note that the outbox is empty."""
        self.commits = [replace(commit, is_outboxed=False) for commit in self.commits]

    def floor(self, process: Process) -> int:
        """Return the place of the last commit that a read which begins now in this process has to see."""
        return max(place for place, commit in enumerate(self.commits) if self._is_seen(commit, process))

    def _is_seen(self, commit: Commit, process: Process) -> bool:
        if commit.writer is None:
            return True
        if commit.is_outboxed and commit.writer.process is not process and not process.has_failed:
            return False
        return commit.writer.name not in self.lost or (commit.writer.is_over and not commit.writer.process.is_dead)

    def told(self, process: Process) -> int:
        """Return the same for a look at its local tier."""
        names = {name for name, _ in process.local.told}
        return max(
            place
            for place, commit in enumerate(self.commits)
            if commit.writer is None or commit.writer.name in names or commit.writer.process is process
        )

    def allows(self, floor: int) -> list[Rows]:
        """Return what may be seen by a read with that floor."""
        return [commit.rows for commit in self.commits[floor:]]
