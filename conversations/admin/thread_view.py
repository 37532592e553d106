"""A page of messages as a person reads a chat: days, bubbles on two sides, names where the speaker changes. Pure."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from conversations.admin import content, links
from conversations.admin.content import Line
from conversations.admin.display_names import DisplayNames
from conversations.admin.links import Segment
from conversations.models import Message


@dataclass(frozen=True)
class DeliveryMark:
    """How far delivery has come: a sign for the eye, a name for the ear."""

    sign: str
    name: str
    style: str


_TICKS: dict[int, DeliveryMark] = {
    Message.Status.PENDING: DeliveryMark("🕓", "pending", "pending"),
    Message.Status.SENT: DeliveryMark("✓", "sent", "sent"),
    Message.Status.FAILED: DeliveryMark("⚠", "failed", "failed"),
    Message.Status.DELIVERED: DeliveryMark("✓✓", "delivered", "delivered"),
    Message.Status.READ: DeliveryMark("✓✓", "read", "read"),
    Message.Status.PLAYED: DeliveryMark("✓✓", "played", "read"),
}


@dataclass(frozen=True)
class Quote:
    """What a bubble answers; `anchor` is the answered bubble's, "" where it is on another page."""

    author: str
    text: str
    anchor: str = ""


@dataclass(frozen=True)
class Reaction:
    """An emoji and all who gave it."""

    emoji: str
    people: tuple[str, ...]


@dataclass(frozen=True)
class MessageView:
    """One message, ready to be shown. `author` is "" where it goes without saying."""

    pk: int
    from_me: bool
    at: dt.datetime
    author: str = ""
    symbol: str = ""
    kind: str = ""
    text: list[Segment] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    file: list[Line] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    original: str = ""
    is_deleted: bool = False
    quote: Quote | None = None
    reactions: list[Reaction] = field(default_factory=list)
    tick: DeliveryMark | None = None

    @property
    def anchor(self) -> str:
        """The bubble's name on its page."""
        return f"message-{self.pk}"


@dataclass(frozen=True)
class Day:
    """One day's bubbles."""

    date: dt.date
    bubbles: list[MessageView]


def group_by_day(messages: Sequence[Message], people: DisplayNames, *, zone: dt.tzinfo, is_group: bool) -> list[Day]:
    """Turn messages into bubbles by day, oldest first.

    Args:
        messages: a page of one conversation, latest first, as `Message.objects.for_conversation` returns it.
        people: who is who.
        zone: the time zone in which a day begins at midnight.
        is_group: whether bubbles of others need a name.
    """
    rows = list(reversed(messages))
    anchors = {row.key_id: f"message-{row.pk}" for row in rows}
    shown: list[Day] = []
    for date, of_day in groupby(rows, lambda row: row.timestamp.astimezone(zone).date()):
        bubbles: list[MessageView] = []
        speaker: object = None
        for row in of_day:
            speaks = row.sender_id or row.sender_name
            named = is_group and not row.from_me and speaks != speaker
            speaker = None if row.from_me else speaks
            author = people.sender(row) if named else ""
            bubbles.append(message_view(row, people, zone=zone, author=author, anchors=anchors))
        shown.append(Day(date, bubbles))
    return shown


def message_view(
    row: Message, people: DisplayNames, *, zone: dt.tzinfo, author: str, anchors: Mapping[str, str]
) -> MessageView:
    """Turn one message into a bubble; `anchors` maps the key ids of its page to their bubbles' anchors."""
    symbol, kind = content.kind_of(row.kind)
    return MessageView(
        pk=row.pk,
        from_me=row.from_me,
        at=row.timestamp.astimezone(zone),
        author=author,
        symbol=symbol,
        kind=kind,
        text=links.linkify(row.text),
        facts=content.media_facts(row.media),
        file=list(content.media_lines(row.media)),
        lines=content.detail_lines(row.kind, row.details, row.poll_count),
        marks=list(_marks(row)),
        original=row.original_text,
        is_deleted=row.is_deleted,
        quote=_quote(row, people, anchors),
        reactions=_reactions(row, people),
        tick=_TICKS.get(row.status) if row.from_me else None,
    )


def _marks(row: Message) -> Iterator[str]:
    if row.details.get("isForwarded"):
        yield "forwarded"
    if row.details.get("viewOnce"):
        yield "view once"
    if row.edited_at:
        yield "edited"
    if row.is_history:
        yield "history"


def _quote(row: Message, people: DisplayNames, anchors: Mapping[str, str]) -> Quote | None:
    if not row.quoted_key_id:
        return None
    author = people.named(row.quoted_sender) if row.quoted_sender else ""
    return Quote(author, row.quoted_text or "[message]", anchors.get(row.quoted_key_id, ""))


def _reactions(row: Message, people: DisplayNames) -> list[Reaction]:
    given: dict[str, list[str]] = {}
    for who, reaction in row.reactions.items():
        emoji = reaction.get("emoji") if isinstance(reaction, dict) else None
        if isinstance(emoji, str) and emoji:
            given.setdefault(emoji, []).append(people.named(who))
    return [Reaction(emoji, tuple(names)) for emoji, names in given.items()]
