"""What needs somebody now, in groups, with the page on which to do something about it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from conversations.models import Instance
from conversations.monitoring.attention import Need
from conversations.monitoring.state import Number

MAX_SHOWN = 10  # numbers of one kind; the others are in the list of instances


class Remedy(NamedTuple):
    """The page on which to do something about a kind of need.

    Attributes:
        page: the name of an admin page.
        permission: the permission that the page asks for.
        title: what the link says.
        query: what follows the page's address, with the primary key of the instance.
        has_row: whether the page is about one row, the instance.
    """

    page: str
    permission: str
    title: Any
    query: str = ""
    has_row: bool = False


_INSTANCE = ("conversations_instance_change", "conversations.view_instance")
_INGESTION = ("conversations_ingestcounter_changelist", "conversations.view_ingestcounter")
_CACHE = ("cachelayer_countertotal_changelist", "cachelayer.view_countertotal")
_ALARMS = ("conversations_alarm_changelist", "conversations.view_alarm")
REMEDIES = {
    "disconnected": Remedy(*_INSTANCE, _("Open the number"), has_row=True),
    "pairing": Remedy(*_INSTANCE, _("Open the number"), has_row=True),  # its QR code is shown to managers only
    "silent": Remedy("inbox", "conversations.view_conversation", _("Show its conversations"), "?number={}"),
    "refused": Remedy(*_INGESTION, _("Show what was refused"), "?instance={}"),
    "backlog": Remedy(*_INGESTION, _("Show the ingestion")),
    "feed": Remedy(*_INGESTION, _("Show the ingestion")),
    "webhook": Remedy(
        "conversations_webhooksubscription_changelist",
        "conversations.view_webhooksubscription",
        _("Show the webhooks"),
    ),
    "cache": Remedy(*_CACHE, _("Show the cache")),
    "audit": Remedy(*_CACHE, _("Show the cache")),
    "media": Remedy(*_ALARMS, _("Show the alarms")),
    "probe": Remedy(*_ALARMS, _("Show the alarms")),
}


@dataclass(frozen=True)
class Group:
    """All needs of one kind.

    Attributes:
        kind: the kind.
        title: what is wrong.
        advice: what to do.
        needs: the first needs, each with a title and an address of a link; both are "" without the permission.
        hidden: how many more there are.
    """

    kind: str
    title: str
    advice: str
    needs: tuple[tuple[Need, Any, str], ...]
    hidden: int

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.needs) + self.hidden


def groups(needs: Sequence[Need], may: Callable[[str], bool]) -> list[Group]:
    """Return the needs by kind, in the given order.

    Args:
        needs: the needs, the most urgent first.
        may: tells whether the user has a permission.
    """
    found = []
    for kind in dict.fromkeys(need.kind for need in needs):
        same = [need for need in needs if need.kind == kind]
        shown = tuple((need, *link_of(need, may)) for need in same[:MAX_SHOWN])
        found.append(Group(kind, gettext(same[0].title), gettext(same[0].advice), shown, len(same) - len(shown)))
    return found


def link_of(need: Need, may: Callable[[str], bool]) -> tuple[Any, str]:
    """Return title and address of the link to the page about a need; two empty texts without the permission."""
    remedy = REMEDIES[need.kind]
    if not may(remedy.permission):
        return "", ""
    url = reverse(f"admin:{remedy.page}", args=[need.instance_id] if remedy.has_row else [])
    return remedy.title, url + remedy.query.format(need.instance_id)


class Tile(NamedTuple):
    """A number that sums up the numbers of a site; `style` is a suffix of a `.tile-…` class."""

    name: str
    title: Any
    value: str
    style: str


_TILES = (
    ("disconnected", _("Disconnected"), "bad"),
    ("pairing", _("Waiting for a QR code"), "waiting"),
    ("silent", _("Silent"), "waiting"),
    ("refused", _("Webhooks refused"), "bad"),
)


def tiles(numbers: Iterable[Number], needs: Iterable[Need]) -> list[Tile]:
    """Return how many numbers are connected, and how many need somebody, by kind."""
    states = [number.state for number in numbers]
    kinds = [need.kind for need in needs]
    counts = [(name, title, kinds.count(name), style) for name, title, style in _TILES]
    # The numbers of Meta's Cloud API have no connection.
    connected = sum(state in (Instance.State.OPEN, Instance.State.UNKNOWN) for state in states)
    return [
        Tile("connected", _("Numbers connected"), f"{connected} / {len(states)}", "plain"),
        *(Tile(name, title, str(count), style if count else "plain") for name, title, count, style in counts),
    ]
