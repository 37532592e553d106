"""The query parameters of a conversation's messages: one page of them, or the messages around an anchor."""

import datetime as dt
import re
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from cachelayer.orm.managers import MAX_ID
from conversations.api.query_params import PageParameters
from conversations.models import Conversation, Message
from conversations.models import thread as threads

FindAnchor = Callable[[Conversation], Message | None]

MAX_AROUND = 100
DEFAULT_AROUND = 25
NAMED: dict[str, FindAnchor] = {"newest": threads.newest, "first_unread": threads.first_unread}
ID = re.compile(r"(quoted:)?([0-9]{1,19})", re.ASCII)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


ANCHOR_SCHEMA = {
    "anyOf": [
        {"type": "string", "enum": list(NAMED)},
        {"type": "string", "pattern": "^(quoted:)?[1-9][0-9]{0,17}$"},
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
    ]
}


@extend_schema_field(ANCHOR_SCHEMA)
class AnchorField(serializers.Field[FindAnchor | None, str, str, Any]):
    """A query parameter that names one message of a conversation."""

    default_error_messages = {
        "invalid": _("Must be the id of a message, quoted:<id>, first_unread, newest, a date or a time.")
    }
    time = serializers.DateTimeField(default_timezone=dt.UTC)

    def to_internal_value(self, data: str) -> FindAnchor:
        """Return a function of a conversation that returns the message."""
        if data in NAMED:
            return NAMED[data]
        found = ID.fullmatch(data)
        if found:
            pk = int(found[2])
            if pk > MAX_ID:
                self.fail("invalid")
            return partial(threads.quoted_by if found[1] else threads.by_id, pk=pk)
        return partial(threads.first_since, time=self._parse_time(data))

    def _parse_time(self, data: str) -> dt.datetime:
        """Return a time; a date is its first moment in UTC."""
        text = f"{data}T00:00:00Z" if DATE.fullmatch(data) else data
        try:
            return cast("dt.datetime", self.time.run_validation(text))
        except serializers.ValidationError:
            self.fail("invalid")


def _around(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(default=DEFAULT_AROUND, min_value=0, max_value=MAX_AROUND, help_text=help_text)


class ThreadParameters(PageParameters):
    """Query parameters of the messages of one conversation."""

    anchor = AnchorField(
        default=None,
        help_text="Without `cursor`: return the messages around one: its id; `quoted:` and the id of the message "
        "that quotes it; `first_unread`; `newest`; or the first message from a date or time on.",
    )
    before = _around("With `anchor`: maximum number of older messages.")
    after = _around("With `anchor`: maximum number of newer messages.")
