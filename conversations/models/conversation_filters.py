"""The filters of the list of conversations, and the database condition for each of them."""

import datetime as dt
from dataclasses import dataclass

from django.db.models import F, Q
from django.utils import timezone

# A conversation stays marked as unread until messages after the mark are read (see `Conversation.is_marked_unread`).
IS_UNREAD = Q(unread_count__gt=0) | Q(unread_mark__gte=F("read_until"))

MINUTE = dt.timedelta(minutes=1)  # which conversations are muted is exact to the minute


def this_minute() -> dt.datetime:
    """Return the time at which the present minute has begun."""
    return timezone.now().replace(second=0, microsecond=0)


@dataclass(frozen=True, kw_only=True)
class ConversationFilters:
    """Which conversations a list contains. None and "" stand for no filter.

    Attributes:
        ids: the primary keys of the conversations.
        contact: the primary keys of the contacts of direct conversations.
        label: the id of a label that is attached to the conversation.
        archived, pinned, unread, muted, deleted: whether the conversation is in this state.
        kind: one of `Conversation.Kind`.
        active_after, active_before: the last message is from this time on, or before this time.
    """

    ids: tuple[int, ...] | None = None
    contact: tuple[int, ...] | None = None
    label: str = ""
    archived: bool | None = None
    pinned: bool | None = None
    unread: bool | None = None
    muted: bool | None = None
    deleted: bool | None = False
    kind: str = ""
    active_after: dt.datetime | None = None
    active_before: dt.datetime | None = None

    @property
    def is_small(self) -> bool:
        """Whether the filters select few rows in all instances together."""
        return self.ids is not None or self.contact is not None

    def condition(self, now: dt.datetime) -> Q:
        """Return the database condition; a conversation is muted if it is muted until after `now`."""
        columns = {
            "pk__in": self.ids,
            "contact__in": self.contact,
            "is_archived": self.archived,
            "is_pinned": self.pinned,
            "is_deleted": self.deleted,
            "kind": self.kind or None,
            "last_message_at__gte": self.active_after,
            "last_message_at__lt": self.active_before,
        }
        condition = Q(**{name: value for name, value in columns.items() if value is not None})
        if self.label:
            condition &= ~Q(labels={}) & Q(labels__has_true=self.label)
        if self.unread is not None:
            condition &= IS_UNREAD if self.unread else ~IS_UNREAD
        if self.muted is not None:
            is_muted = Q(muted_until__isnull=False, muted_until__gt=now)
            condition &= is_muted if self.muted else Q(muted_until__isnull=True) | Q(muted_until__lte=now)
        return condition
