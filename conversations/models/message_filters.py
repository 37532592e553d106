"""The filters of the list of messages, and the database condition for each of them."""

import datetime as dt
from dataclasses import dataclass

from django.db.models import Q


@dataclass(frozen=True, kw_only=True)
class MessageFilters:
    """Which messages a list contains. None and "" stand for no filter.

    Attributes:
        ids: the primary keys of the messages.
        conversation: the primary keys of the conversations.
        sender: the primary keys of the contacts that sent the messages.
        key_id: WhatsApp's id of the message.
        kind: one of `Message.Kind`.
        status: one of `Message.Status`.
        from_me: True for outbound messages, False for inbound messages.
        after, before: the message's `timestamp` is from this time on, or before this time.
    """

    ids: tuple[int, ...] | None = None
    conversation: tuple[int, ...] | None = None
    sender: tuple[int, ...] | None = None
    key_id: str = ""
    kind: str = ""
    status: int | None = None
    from_me: bool | None = None
    after: dt.datetime | None = None
    before: dt.datetime | None = None

    @property
    def is_small(self) -> bool:
        """Whether the filters select few rows in all instances together."""
        return self.ids is not None or bool(self.key_id)

    def condition(self) -> Q:
        """Return the database condition, without those on the conversation and on the sender."""
        columns = {
            "pk__in": self.ids,
            "key_id": self.key_id or None,
            "kind": self.kind or None,
            "status": self.status,
            "from_me": self.from_me,
            "timestamp__gte": self.after,
            "timestamp__lt": self.before,
        }
        return Q(**{name: value for name, value in columns.items() if value is not None})
