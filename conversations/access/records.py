"""Records which staff user has read messages of which conversation, on which page of the admin."""

import datetime as dt
from collections.abc import Iterable
from typing import Any, NamedTuple

from django.utils import timezone

from conversations.models import ReadingRecord

# A page that is read again within this time is not recorded again: a page of the inbox follows each change.
COLLAPSED = dt.timedelta(minutes=5)


class Shown(NamedTuple):
    """A conversation of which a page showed messages; an event may be about any conversation of its instance."""

    instance_id: int
    conversation_pk: int | None = None
    conversation_jid: str = ""


def record_reading(user: Any, page: ReadingRecord.Page, shown: Iterable[Shown], row_pk: int | None = None) -> None:
    """Record what a page has shown to a user, once in five minutes; records outlive the user and the conversation.

    Args:
        user: the user who has logged in.
        page: the kind of the page.
        shown: the conversations, each of which is recorded once.
        row_pk: the primary key of the row that the page is about; None for a list.
    """
    new = list(dict.fromkeys(shown))
    if not new:
        return
    recent = ReadingRecord.objects.filter(user=user, page=page, row_pk=row_pk, read_at__gte=timezone.now() - COLLAPSED)
    known = {Shown(*values) for values in recent.values_list(*Shown._fields)}
    ReadingRecord.objects.bulk_create(
        ReadingRecord(user=user, username=user.get_username(), page=page, row_pk=row_pk, **one._asdict())
        for one in new
        if one not in known
    )
