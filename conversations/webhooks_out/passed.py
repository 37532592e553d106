"""Remembers how far the log was read without finding anything to send, so that it is not read again for each look.

The database hears of it once a minute only: a write for each look would be a transaction, and move the end of the log.
"""

from time import monotonic

from conversations.models import WebhookSubscription

SAVE_SECONDS = 60.0


class Passed:
    """The passed cursors of one process."""

    def __init__(self) -> None:
        # Subscription → its cursor in the database, the cursor up to which there is nothing to send, and when the first
        # of these was noted.
        self._known: dict[int, tuple[str, str, float]] = {}

    def after(self, row: WebhookSubscription) -> str:
        """Return the cursor after which changes are to be read for a subscription."""
        base, passed, _ = self._known.get(row.pk, ("", "", 0.0))
        return passed if base == row.cursor else row.cursor

    def must_be_saved(self, row: WebhookSubscription, passed: str) -> bool:
        """Note that there is nothing to send up to a cursor; return whether the database should hear of it."""
        base, _, since = self._known.get(row.pk, ("", "", 0.0))
        is_new = base != row.cursor
        self._known[row.pk] = (row.cursor, passed, monotonic() if is_new else since)
        return not is_new and monotonic() - since >= SAVE_SECONDS and passed != row.cursor
