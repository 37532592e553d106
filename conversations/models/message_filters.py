"""The filters of the list of messages, and the database condition for each of them."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func, Q
from django.db.models.expressions import Col
from django.db.models.sql.compiler import SQLCompiler

from conversations.evolution.status import FAILED


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
            "from_me": self.from_me,
            "timestamp__gte": self.after,
            "timestamp__lt": self.before,
        }
        chosen = Q(**{name: value for name, value in columns.items() if value is not None})
        return chosen if self.status is None else chosen & has_status(self.status)


class _IsFailed(Func):
    """Whether the status of a message is FAILED, as the condition of the index `message_failed` says it.

    On PostgreSQL it is a column that the model does not have. An index with `status` in its condition would have to be
    written at every change of a status; see migration 0021.
    """

    template = f"%(expressions)s = {FAILED}"
    output_field = BooleanField()

    def __init__(self) -> None:
        super().__init__(F("status"))

    def as_postgresql(
        self, _compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_context: Any
    ) -> tuple[str, list[Any]]:
        """Return the column that a trigger keeps."""
        (status,) = self.get_source_expressions()
        if not isinstance(status, Col):
            raise TypeError(f"the status of a message must be a column, not {status}")
        return f"{connection.ops.quote_name(status.alias)}.is_failed", []


def has_status(status: int) -> Q:
    """Return the condition that a message has a status, in the form that the index of failed messages serves."""
    return Q(_IsFailed()) if status == FAILED else Q(status=status)
