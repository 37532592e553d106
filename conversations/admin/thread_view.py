"""Pure functions that prepare a page of chat messages for the template: days, sender names, delivery marks."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from conversations.admin import message_content
from conversations.admin.display_names import DisplayNames
from conversations.admin.links import MAX_LENGTH, LinkedText, linkify, shorten
from conversations.admin.row_urls import row_urls
from conversations.evolution import jid
from conversations.evolution.media_names import REFERENCE
from conversations.models import Message
from conversations.models.stored_media import has_thumbnail, stored_name

MAX_LINES = 50  # lines below one message
MAX_LINE_LENGTH = 1_000  # characters of such a line


@dataclass(frozen=True)
class DeliveryMark:
    """The delivery status of a sent message: the displayed sign, its accessible name and its CSS class suffix."""

    sign: str
    name: str | Promise
    style: str


_DELIVERY_MARKS: dict[int, DeliveryMark] = {
    Message.Status.PENDING: DeliveryMark("🕓", gettext_lazy("pending"), "pending"),
    Message.Status.SENT: DeliveryMark("✓", gettext_lazy("sent"), "sent"),
    Message.Status.FAILED: DeliveryMark("⚠", gettext_lazy("failed"), "failed"),
    Message.Status.DELIVERED: DeliveryMark("✓✓", gettext_lazy("delivered"), "delivered"),
    Message.Status.READ: DeliveryMark("✓✓", gettext_lazy("read"), "read"),
    Message.Status.PLAYED: DeliveryMark("✓✓", gettext_lazy("played"), "read"),
}

_PICTURES = frozenset({Message.Kind.IMAGE, Message.Kind.STICKER})
_PLAYERS: dict[str, str] = {Message.Kind.AUDIO: "audio", Message.Kind.VIDEO: "video", Message.Kind.VIDEO_NOTE: "video"}


@dataclass(frozen=True)
class Quote:
    """The message that a reply quotes.

    `anchor` is the HTML id of the quoted message, or "" if it is on another page. `place` says where the quoted message
    is if it is not in this chat.
    """

    author: str
    text: str
    anchor: str = ""
    place: str = ""


@dataclass(frozen=True)
class Reaction:
    """An emoji, the names of the first people who reacted with it, and the number of all of them."""

    emoji: str
    people: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class MessageView:
    """One chat message, prepared for the template; `author` is "" if the template should not show a name."""

    pk: int
    from_me: bool
    time: dt.datetime
    url: str
    author: str = ""
    symbol: str = ""
    kind_name: str = ""
    text: list[LinkedText] = field(default_factory=list)
    media_facts: list[str] = field(default_factory=list)
    media_lines: list[LinkedText] = field(default_factory=list)
    detail_lines: list[LinkedText] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    original_text: str = ""
    is_deleted: bool = False
    quote: Quote | None = None
    reactions: list[Reaction] = field(default_factory=list)
    delivery: DeliveryMark | None = None
    album_id: str = ""
    has_file: bool = False
    has_thumbnail: bool = False
    is_picture: bool = False  # whether the file is a picture
    picture_size: tuple[int, int] | None = None  # width and height
    duration: str = ""  # of a file that is played
    player: str = ""  # the HTML element that plays the file: "audio", "video", or "" for none

    @property
    def is_shown(self) -> bool:
        """Whether the file can be seen or heard in the thread itself."""
        return self.has_file and (self.is_picture or bool(self.player))

    @property
    def anchor(self) -> str:
        """The HTML id of the chat message."""
        return _anchor(self.pk)

    @property
    def time_text(self) -> str:
        """The time of day."""
        return f"{self.time:%H:%M}"


@dataclass(frozen=True)
class Group:
    """An album, or one message."""

    messages: list[MessageView]

    @property
    def first(self) -> MessageView:
        """The first message."""
        return self.messages[0]

    @property
    def is_album(self) -> bool:
        """Whether there are several messages."""
        return len(self.messages) > 1


@dataclass(frozen=True)
class Day:
    """The chat messages of one day, prepared for the template."""

    date: dt.date
    messages: list[MessageView]

    @property
    def groups(self) -> list[Group]:
        """The messages in groups: an album is one group, and any other message is a group of its own."""
        groups = groupby(self.messages, lambda view: view.album_id or view.pk)
        return [Group(list(views)) for _key, views in groups]


def group_by_day(messages: Sequence[Message], names: DisplayNames, *, zone: dt.tzinfo, is_group: bool) -> list[Day]:
    """Return chat messages prepared for the template, grouped by day, oldest first.

    Args:
        messages: a page of one conversation's messages, latest first, as `Message.objects.for_conversation` returns it.
        names: display names of the people in the messages.
        zone: the time zone in which days begin and end.
        is_group: whether to show the sender's name above the first of consecutive messages of the same sender.
    """
    rows = list(reversed(messages))
    anchors = {row.key_id: _anchor(row.pk) for row in rows}
    url_of = row_urls("admin:conversations_message_change")
    days: list[Day] = []
    for date, rows_of_day in groupby(rows, lambda row: row.timestamp.astimezone(zone).date()):
        views: list[MessageView] = []
        previous_sender: object = None
        for row in _albums_together(list(rows_of_day)):
            sender = None if row.from_me else row.sender_id or row.sender_name
            author = names.for_sender(row) if is_group and not row.from_me and sender != previous_sender else ""
            previous_sender = sender
            url = url_of(row.pk)
            views.append(message_view(row, names, zone=zone, author=author, anchors=anchors, url=url))
        days.append(Day(date, views))
    return days


def _albums_together(rows: Sequence[Message]) -> list[Message]:
    """Return messages in their order, but with all messages of an album where the first of them is."""
    first: dict[object, int] = {}
    for place, row in enumerate(rows):
        first.setdefault(_album_id(row) or row.pk, place)
    return sorted(rows, key=lambda row: first[_album_id(row) or row.pk])


def _album_id(row: Message) -> str:
    album_id = row.details.get("album_id")
    return album_id if isinstance(album_id, str) else ""


def message_view(  # noqa: PLR0913 - all arguments together make the view
    row: Message, names: DisplayNames, *, zone: dt.tzinfo, author: str, anchors: Mapping[str, str], url: str
) -> MessageView:
    """Return one message prepared for the template; `anchors` maps WhatsApp's message ids on the page to HTML ids."""
    symbol, kind_name = message_content.kind_label(row.kind)
    return MessageView(
        pk=row.pk,
        from_me=row.from_me,
        time=row.timestamp.astimezone(zone),
        url=url,
        author=author,
        symbol=symbol,
        kind_name=kind_name,
        text=linkify(row.text),
        media_facts=message_content.media_facts(row.media),
        media_lines=_first_lines(message_content.media_lines(row.media)),
        detail_lines=_first_lines(message_content.detail_lines(row.kind, row.details, row.poll_count)),
        flags=list(_flags(row)),
        original_text=shorten(row.original_text, MAX_LENGTH),
        is_deleted=row.is_deleted,
        quote=_quote(row, names, anchors),
        reactions=_reactions(row, names),
        delivery=delivery_mark(row),
        album_id=_album_id(row),
        has_file=bool(stored_name(row, REFERENCE)),
        has_thumbnail=has_thumbnail(row) and not row.is_deleted,
        is_picture=row.kind in _PICTURES and not row.is_deleted,
        picture_size=message_content.picture_size(row.media),
        duration=message_content.duration(row.media),
        player="" if row.is_deleted else _PLAYERS.get(row.kind, ""),
    )


def delivery_mark(row: Message) -> DeliveryMark | None:
    """Return the delivery status of a message; None for a received one."""
    return _DELIVERY_MARKS.get(row.status) if row.from_me else None


def _first_lines(lines: Iterable[LinkedText]) -> list[LinkedText]:
    return [LinkedText(shorten(line.text, MAX_LINE_LENGTH), line.url) for line in islice(lines, MAX_LINES)]


def _anchor(pk: int) -> str:
    return f"message-{pk}"


def _flags(row: Message) -> Iterator[str]:
    if row.details.get("is_forwarded"):
        yield _("forwarded")
    if row.details.get("view_once"):
        yield _("view once")
    if row.details.get("mentions_all"):
        yield _("mentions everybody")
    if row.edited_at:
        yield _("edited")


def _quote(row: Message, names: DisplayNames, anchors: Mapping[str, str]) -> Quote | None:
    if not row.quoted_key_id:
        return None
    author = names.for_address(row.quoted_sender) if row.quoted_sender else ""
    chat = row.details.get("quoted_chat")
    if isinstance(chat, str) and chat:
        return Quote(author, row.quoted_text or _("[message]"), place=_quoted_place(chat, names))
    return Quote(author, row.quoted_text or _("[message]"), anchors.get(row.quoted_key_id, ""))


def _quoted_place(chat: str, names: DisplayNames) -> str:
    """Return where a quoted message is; a group that has no name here is "another chat"."""
    address = jid.parse(chat)
    if address is None or not address.is_person:
        return _("Status") if address and address.kind is jid.AddressKind.STATUS else _("in another chat")
    return _("in the chat with %(name)s") % {"name": names.for_address(chat)}


def _reactions(row: Message, names: DisplayNames) -> list[Reaction]:
    people: dict[str, list[str]] = {}
    for author, reaction in row.first_reactions:
        people.setdefault(reaction["emoji"], []).append(names.for_author(author))
    counts = Counter(reaction["emoji"] for reaction in row.current_reactions.values())
    return [Reaction(emoji, tuple(found), counts[emoji]) for emoji, found in people.items()]
