"""Pure functions that prepare the rows of the inbox's list for the template."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from zlib import crc32

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from conversations.admin.display_names import conversation_display_name, format_address
from conversations.admin.message_content import preview
from conversations.admin.thread_view import DeliveryMark, delivery_mark
from conversations.models import EPOCH, Conversation, Instance, Message

TONES = 8  # colours of avatars and labels, see inbox.css
WEEK = dt.timedelta(days=6)
MAX_ROW_LABELS = 3


@dataclass(frozen=True)
class Label:
    """A label of a conversation; `tone` is the suffix of its CSS class."""

    pk: str
    name: str
    tone: int


@dataclass(frozen=True)
class ChatRow:
    """One conversation in the list, prepared for the template; the texts of the last message may be left out."""

    pk: int
    name: str
    initials: str
    tone: int
    time: dt.datetime | None
    time_text: str
    number: str
    preview: str = ""
    from_me: bool = False
    delivery: DeliveryMark | None = None
    unread: str = ""
    is_pinned: bool = False
    is_archived: bool = False
    is_muted: bool = False
    is_group: bool = False
    labels: list[Label] = field(default_factory=list)
    path: str = ""  # of the page with the conversation opened

    @property
    def anchor(self) -> str:
        """The HTML id of the row."""
        return f"chat-{self.pk}"

    @property
    def box_label(self) -> str:
        """The label of the box that selects the row."""
        return _("Select %(name)s") % {"name": self.name}


def chat_row(  # noqa: PLR0913 - all arguments together make the row
    row: Conversation,
    instance: Instance | None,
    last: Message | None,
    now: dt.datetime,
    *,
    shows_text: bool,
    path: str = "",
) -> ChatRow:
    """Return a conversation prepared for the template.

    Args:
        row: the conversation.
        instance: its instance.
        last: its last message, if it is known.
        now: the present time.
        shows_text: whether the user may read messages.
        path: the path of the page with the conversation opened.
    """
    name, has_text = conversation_display_name(row), shows_text and row.last_message_at != EPOCH
    is_own = last is not None and last.from_me and row.last_message_from_me
    time = None if row.last_message_at == EPOCH else timezone.localtime(row.last_message_at)
    return ChatRow(
        pk=row.pk,
        name=name,
        initials=initials(name),
        tone=tone(row.jid),
        time=time,
        time_text=short_time(time, timezone.localtime(now)) if time else "",
        number=instance_name(instance) if instance else "",
        preview=preview(row.last_message_kind, row.last_message_text) if has_text else "",
        from_me=row.last_message_from_me and has_text,
        delivery=delivery_mark(last) if has_text and is_own and last else None,
        unread=(number_format(row.unread_count, force_grouping=True) if row.unread_count else "")
        or ("●" if row.is_marked_unread else ""),
        is_pinned=row.is_pinned,
        is_archived=row.is_archived,
        is_muted=row.muted_until is not None and row.muted_until > now,
        is_group=row.kind == Conversation.Kind.GROUP,
        labels=labels_of(instance, row.attached_labels)[:MAX_ROW_LABELS] if instance else [],
        path=path,
    )


def instance_name(instance: Instance) -> str:
    """Return the name of a number: the one in WhatsApp, else the one of the instance."""
    return instance.profile_name or instance.name


def instance_number(instance: Instance) -> str:
    """Return the phone number of an instance, as people write it; "" if it is unknown."""
    return format_address(instance.owner_jid) if instance.owner_jid else ""


def labels_of(instance: Instance, attached: Iterable[str]) -> list[Label]:
    """Return those of some labels of an instance that were not deleted, ordered by id."""
    known: Mapping[str, Mapping[str, object]] = instance.labels
    shown = sorted(set(attached) - instance.deleted_labels)
    return [Label(pk, str((known.get(pk) or {}).get("name") or pk), tone(pk)) for pk in shown]


def tone(text: str) -> int:
    """Return the number of the colour of a text, which is always the same for the same text."""
    return crc32(text.encode(errors="surrogatepass")) % TONES


def initials(name: str) -> str:
    """Return the first letters of up to two words of a name; "#" for a number.

    >>> initials("Ana Maria de Souza"), initials("+55 11 91234-5678"), initials("")
    ('AM', '#', '#')
    """
    letters = [word[0] for word in name.split() if word[0].isalpha()]
    return "".join(letters[:2]).upper() or "#"


def short_time(time: dt.datetime, now: dt.datetime) -> str:
    """Return the time of day of a time today, the weekday within the last days, else the date."""
    if time.date() == now.date():
        return f"{time:%H:%M}"
    return date_format(time, "D" if dt.timedelta() < now.date() - time.date() <= WEEK else "SHORT_DATE_FORMAT")
