"""Reads changes for outgoing webhooks, as `changes/` shows them (`conversations.webhooks_out.delivering.Pages`)."""

from conversations.api.change_pages import CursorUnknown, read_page, reset_page
from conversations.api.query_params import MAX_PAGE_ROWS
from conversations.changes.log import Selection
from conversations.webhooks_out.delivering import Page


class OutgoingPages:
    """Reads from the database and the cache."""

    def read(self, cursor: str, selection: Selection) -> Page:
        """See `Pages.read`."""
        try:
            batch, data = read_page(cursor, selection, MAX_PAGE_ROWS)
        except CursorUnknown:
            return Page(reset_page(selection), "reset")
        return Page(data, str(batch.steps[-1].end) if batch.steps else "")
