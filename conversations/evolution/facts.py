"""Facts: the parsed content of an event. A fact is valid whatever other facts arrive before or after it.

Facts with latest-state values have a `clock` (`envelope.live_clock` or `history_clock`); a message has a timestamp.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conversations.evolution.jid import Address

Values = Mapping[str, Any]


@dataclass(frozen=True)
class SamePerson:
    """Two addresses that belong to one person."""

    one: Address
    other: Address


@dataclass(frozen=True)
class InstanceState:
    """Latest values of the instance's fields; the field `label:<id>` holds a label's name and color."""

    values: Values
    clock: str


@dataclass(frozen=True)
class ContactState:
    """Latest values of a contact's fields."""

    address: Address
    values: Values
    clock: str


@dataclass(frozen=True)
class ConversationState:
    """A conversation exists, with latest values of its fields; `label:<id>` is true while it has that label."""

    chat: Address
    values: Values
    clock: str


@dataclass(frozen=True)
class Member:
    """One current or former participant of a group."""

    address: Address
    role: str
    is_present: bool


@dataclass(frozen=True)
class Membership:
    """Participants of a group: all of them if `complete`, otherwise only those that changed."""

    chat: Address
    members: tuple[Member, ...]
    clock: str
    complete: bool


@dataclass(frozen=True)
class MessageCopy:
    """One copy of a message. Of several copies, the one with the smallest `precedence` is shown."""

    chat: Address
    key_id: str
    from_me: bool
    timestamp: dt.datetime
    kind: str
    status: int
    precedence: str
    sender: Address | None = None
    sender_name: str = ""
    source: str = ""
    text: str = ""
    media: Values = field(default_factory=dict)
    details: Values = field(default_factory=dict)
    quoted_key_id: str = ""
    quoted_sender: str = ""
    quoted_text: str = ""
    is_history: bool = False
    from_device: bool = False


@dataclass(frozen=True)
class MessageUpdate:
    """An update of a message that may not have arrived yet. `models.PendingUpdate` has the same fields."""

    key_id: str
    kind: str
    rank_or_ms: int
    value: Values
    chat: str = ""
    from_me: int = -1
    subject: str = ""


Fact = SamePerson | InstanceState | ContactState | ConversationState | Membership | MessageCopy | MessageUpdate
