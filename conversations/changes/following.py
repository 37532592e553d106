"""What a server needs to know of the changes that its clients follow. Without I/O.

A view cannot wait: it runs in a thread, and thousands of clients wait at once. So it describes what its client follows
in a `Subscription`, and leaves the waiting to the server by calling the WSGI variable `FOLLOW`. Only the project's own
server has this variable.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from conversations.changes.log import Entry, Position, Selection

FOLLOW = "changes.follow"  # a function that takes a `Subscription`, and may raise `TooManyFollowersError`


class TooManyFollowersError(Exception):
    """One more follower would be too many.

    Args:
        is_of_user: whether the user has too many followers, and not the process.
    """

    def __init__(self, *, is_of_user: bool) -> None:
        super().__init__()
        self.is_of_user = is_of_user


@dataclass(frozen=True)
class Credentials:
    """With what right somebody follows changes.

    Attributes:
        user_id: the user.
        token_id: the API token; None for a user who has logged in.
        session_key: the session of a user who has logged in; None for a token.
        readable_key: names the instances whose rows could be read when following began (`Access.readable_key`).
    """

    user_id: int
    token_id: int | None
    session_key: str | None
    readable_key: str


Interest = tuple[Credentials, Selection]  # who follows what


@dataclass(frozen=True)
class Subscription:
    """What one client follows.

    Attributes:
        selection: what changes concern the client.
        position: the client has all changes up to here.
        history: the history that the position belongs to (`conversations.changes.history`).
        credentials: with what right it follows them.
        seconds: how long its request waits for one change; None for an event stream.
        has_changes: the answer has changes already; it is held back for `seconds`, to be followed by fewer requests.
    """

    selection: Selection
    position: Position
    history: str
    credentials: Credentials
    seconds: float | None = None
    has_changes: bool = False

    @property
    def interest(self) -> Interest:
        """Who follows what; followers with the same interest share what is read."""
        return self.credentials, self.selection

    @property
    def is_stream(self) -> bool:
        """Whether the changes are sent as events, and not awaited."""
        return self.seconds is None


class Look(NamedTuple):
    """The changes since an earlier look at the log.

    Attributes:
        position: the end of the log.
        history: the history that the position belongs to.
        kinds: one change of each instance, conversation, resource and kind; None if anything may have changed.
    """

    position: Position
    history: str
    kinds: Sequence[Entry] | None

    def concerns(self, selection: Selection) -> bool:
        """Return whether one of the changes may be selected."""
        return self.kinds is None or any(map(selection.concerns, self.kinds))


class Batch(NamedTuple):
    """Changes for the followers of one selection.

    Attributes:
        position: the changes up to here are in the batch, or do not belong to the selection.
        event: the changes as an event of an event stream; empty if there are none.
    """

    position: Position
    event: bytes


class Feed(Protocol):
    """Reads changes for followers. Each method may block, and is called in a thread."""

    def look(self, after: Position | None) -> Look:
        """Return the end of the log, and what has changed since the position."""

    def read(self, selection: Selection, after: Position, until: Look) -> Batch | None:
        """Return the changes of a selection from a position to that of a look, or as many as one batch may contain.

        Returns:
            None if the log no longer continues the position, as after a failover to a server that was behind.
        """

    def find_ended(self, credentials: Collection[Credentials]) -> frozenset[Credentials]:
        """Return those with which the same instances can no longer be read."""
