"""Reads changes for the followers of a server: event streams, and requests that wait."""

from collections.abc import Callable, Collection
from typing import TypeVar

from django.contrib.auth.models import User
from django.db import close_old_connections

from conversations.access.policy import Access
from conversations.access.reading import access_of_user, bearer_of_token_id
from conversations.access.sessions import is_live
from conversations.api.change_pages import CursorUnknown, as_event, read_page
from conversations.api.query_params import MAX_PAGE_ROWS
from conversations.changes import log
from conversations.changes.feed import cursor_at
from conversations.changes.following import Batch, Credentials, Look
from conversations.changes.history import current_history
from conversations.changes.log import Position, Selection

MAX_KINDS = 1000  # combinations of instance, conversation… of new changes that are told apart

T = TypeVar("T")


class ChangeFeed:
    """Reads from the database and the cache (`conversations.changes.following.Feed`)."""

    def look(self, after: Position | None) -> Look:
        """See `Feed.look`."""
        return _with_connection(lambda: self._look(after))

    def _look(self, after: Position | None) -> Look:
        history, end = current_history(), log.head()
        if after is None or after == end:
            return Look(end, history, None if after is None else ())
        return Look(end, history, log.kinds_of_changes(after, end, MAX_KINDS))

    def read(self, selection: Selection, after: Position, until: Look) -> Batch | None:
        """See `Feed.read`."""
        return _with_connection(lambda: self._read(selection, after, until))

    def _read(self, selection: Selection, after: Position, until: Look) -> Batch | None:
        cursor = cursor_at(after, selection, until.history)
        try:
            batch, page = read_page(cursor, selection, MAX_PAGE_ROWS, until.position)
        except CursorUnknown:
            return None
        return Batch(batch.end, as_event(page) if batch.steps else b"")

    def find_ended(self, credentials: Collection[Credentials]) -> frozenset[Credentials]:
        """See `Feed.find_ended`."""
        return _with_connection(lambda: frozenset(each for each in credentials if not _is_valid(each)))


def _is_valid(credentials: Credentials) -> bool:
    access = _access(credentials)
    return access is not None and access.readable_key == credentials.readable_key


def _access(credentials: Credentials) -> Access | None:
    """Return what the token or the user may do now; None if the token, the session or the user has ended."""
    if credentials.token_id is not None:
        bearer = bearer_of_token_id(credentials.token_id)
        return bearer.access if bearer else None
    user = User.objects.filter(pk=credentials.user_id).first()
    if user is None or credentials.session_key is None or not is_live(credentials.session_key, user):
        return None
    return access_of_user(user)


def _with_connection(read: Callable[[], T]) -> T:
    """Read in a thread that lives on, whose connection may have been closed or have ended since the last call."""
    close_old_connections()
    try:
        return read()
    finally:
        close_old_connections()
