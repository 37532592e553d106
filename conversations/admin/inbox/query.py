"""The query parameters of the inbox: which conversations its list contains. Each link of the page is made of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from cachelayer.orm.managers import MAX_ID

MAX_TEXT_CHARS = 255
MAX_LABEL_CHARS = 64

# state → its title, and the filters of the list
STATES: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "": (pgettext_lazy("conversations", "Open"), {"archived": False}),
    "unread": (_("Unread"), {"archived": False, "unread": True}),
    "pinned": (_("Pinned"), {"pinned": True}),
    "groups": (_("Groups"), {"archived": False, "kind": "group"}),
    "archived": (_("Archived"), {"archived": True}),
}


@dataclass(frozen=True, kw_only=True)
class ListQuery:
    """Which conversations the list contains.

    Attributes:
        number: the primary key of the instance; "" for all that the user may read.
        state: a key of `STATES`.
        label: the id of a label of the instance; "" for no filter.
        q: the text to search for; the other filters but `number` do not apply to a search.
        after: the cursor of a page of the list.
    """

    number: str = ""
    state: str = ""
    label: str = ""
    q: str = ""
    after: str = ""

    @property
    def instance_pk(self) -> int | None:
        """The primary key of the chosen instance."""
        return int(self.number) if self.number else None

    @property
    def filters(self) -> dict[str, Any]:
        """The filters of `Conversation.objects.for_instance`."""
        return {**STATES[self.state][1], "label": self.label}

    def url(self, pk: int | None = None, /, **changes: str) -> str:
        """Return the URL of the page with this list, some parameters changed, and a conversation opened."""
        path = reverse("admin:inbox") if pk is None else reverse("admin:inbox_conversation", args=[pk])
        text = replace(self, **changes).text
        return f"{path}?{text}" if text else path

    def open_path(self, pk: int) -> str:
        """Return the URL of an opened conversation, to which another query parameter can be appended."""
        url = self.url(pk)
        return f"{url}{'&' if '?' in url else '?'}"

    @cached_property
    def text(self) -> str:
        """The query string."""
        query = QueryDict(mutable=True)
        query.update({name: value for name, value in asdict(self).items() if value})
        return query.urlencode()


def parse(query: Mapping[str, Any]) -> ListQuery:
    """Return what a query string asks for; values that no link of the page has are left out."""
    found = {name: str(query.get(name) or "").replace("\0", "") for name in asdict(ListQuery())}
    number, state = parse_id(found["number"]), found["state"]
    return ListQuery(
        number=str(number or ""),
        state=state if state in STATES else "",
        label=found["label"][:MAX_LABEL_CHARS] if number else "",
        q=found["q"].strip()[:MAX_TEXT_CHARS],
        after=found["after"],
    )


def parse_id(text: str) -> int | None:
    """Return a primary key that a query string contains; None if it contains anything else."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_ID))
    return int(text) if is_number and 0 < int(text) <= MAX_ID else None
