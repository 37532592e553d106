"""Facts: the pieces of information that are parsed from an event. Facts can be applied in any order of arrival.

A fact with latest-state values has a `clock`: a sortable time from `envelope.live_clock` or `envelope.history_clock`.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from conversations.evolution import coerce
from conversations.evolution.jid import Address

Values = Mapping[str, Any]

ME = "me"  # stands for the instance itself where an address key is expected


@dataclass(frozen=True)
class SamePerson:
    """States that a phone number and a LID belonged to one person at the time `ms`, in ms since the epoch.

    If `is_certain` is false, the LID may be the instance's own, because Evolution also writes that one beside the phone
    number of a contact to whom the instance wrote.
    """

    phone: Address
    lid: Address
    ms: int = 0
    is_certain: bool = True


@dataclass(frozen=True)
class Correspondent:
    """States that messages were exchanged under a LID, so that the LID is not the instance's own."""

    lid: Address


@dataclass(frozen=True)
class OwnIdentity:
    """States a LID or a profile name of the instance itself."""

    lid: Address | None = None
    name: str = ""


@dataclass(frozen=True)
class InstanceState:
    """New values for fields of the instance; the field `label:<id>` holds the name and color of one label."""

    values: Values
    clock: str


@dataclass(frozen=True)
class ContactState:
    """New values for fields of one contact."""

    address: Address
    values: Values
    clock: str


@dataclass(frozen=True)
class ConversationState:
    """States that a conversation exists, and new values for fields of the conversation.

    The field `label:<id>` is true if the label with this id is attached to the conversation.
    """

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
    """Participants of a group: all participants if `complete` is true, otherwise only the changed participants."""

    chat: Address
    members: tuple[Member, ...]
    clock: str
    complete: bool


@dataclass(frozen=True)
class MessageCopy:
    """One copy of a chat message, as parsed from one event.

    If several events contain the same chat message, users see the copy with the smallest `precedence`. `sent_order`
    orders the messages of one second (see `envelope.sent_order`); 0 if unknown.
    """

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
    sent_order: int = 0
    is_history: bool = False
    from_device: bool = False

    @cached_property
    def ms(self) -> int:
        """The timestamp in milliseconds since the epoch."""
        return coerce.to_ms(self.timestamp)


@dataclass(frozen=True)
class MessageUpdate:
    """An update of a chat message that may not have arrived yet; `models.PendingUpdate` has the same fields.

    `subject` is the address key of the author of an edit, a reaction or a vote; `ME` for the instance itself.
    For a call it is "video" if the update says that the call is a video call, and "" if it names a stage.
    """

    key_id: str
    kind: str
    rank_or_ms: int
    value: Values
    chat: str = ""
    from_me: int = -1
    subject: str = ""


Fact = (
    SamePerson
    | Correspondent
    | OwnIdentity
    | InstanceState
    | ContactState
    | ConversationState
    | Membership
    | MessageCopy
    | MessageUpdate
)


def weight(fact: Fact) -> int:
    """Return how much work it is to apply a fact: one for the fact, and one for each member that it names."""
    return 1 + len(fact.members) if isinstance(fact, Membership) else 1
