"""The pages of the admin that the benchmark requests, and who requests them. Importing it needs configured settings."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, reverse

from conversations.admin.inbox.query import STATES
from conversations.db.keyset import cursor_at
from conversations.models import Conversation, Instance, Membership, Message
from conversations.models.conversation import LATEST_FIRST as LATEST_CONVERSATION_FIRST
from conversations.models.message import LATEST_FIRST
from tests.benchmarks.admin_rows import LABEL, LONG, LONG_CHATS
from tests.benchmarks.scale import DEEP_PAGE, FREQUENT, MIXED, NAMES, PAGE, RARE

ROOT = "/admin/"
OWN = (1, 2, 3)  # the instances of the reader; the rows of all opened pages belong to them
EARLIER = 2_000  # rows of a model of which pages are opened


class Page(NamedTuple):
    """One kind of page: its name, and its URLs below `/admin/` with names of `Drawn.values` in braces."""

    name: str
    urls: tuple[str, ...]


class Visitor(NamedTuple):
    """Somebody who has logged in, and the primary keys of the instances that they may read; None for all."""

    name: str
    client: Client
    instances: tuple[int, ...] | None


SEARCHES = ("{name}", "{number}", "{frequent}", "{rare}", "{mixed}")
STATES_OF_LIST = tuple(f"state={state}" for state in STATES)
LONG_THREAD = "inbox/{long}/?"
PAGES = (
    Page("home", ("",)),
    Page("ingestion", ("conversations/ingestcounter/",)),
    Page("ingestion of a number", ("conversations/ingestcounter/?instance={instance}",)),
    Page("cache", ("cachelayer/countertotal/",)),
    Page("password", ("password_change/",)),
    Page("inbox", ("inbox/",)),
    Page("inbox, filtered", tuple(f"inbox/?{state}" for state in STATES_OF_LIST)),
    Page("inbox of a number, filtered", tuple(f"inbox/?number={{instance}}&{state}" for state in STATES_OF_LIST)),
    Page("inbox, a label", (f"inbox/?number={{instance}}&label={LABEL}",)),
    Page(f"inbox, page {DEEP_PAGE:,}", ("inbox/?after={list_cursor}",)),
    Page("inbox, search for a name or number", tuple(f"inbox/?q={text}" for text in SEARCHES[:2])),
    Page("inbox, search for words", tuple(f"inbox/?q={text}" for text in SEARCHES[2:])),
    Page("inbox of a number, search", tuple(f"inbox/?number={{instance}}&q={text}" for text in SEARCHES)),
    Page("inbox, update of the list", ("inbox/?part=list",)),
    Page("conversation", ("inbox/{Conversation}/",)),
    Page("conversation, update of the messages", ("inbox/{Conversation}/?part=thread",)),
    Page("conversation, update of the list", ("inbox/{Conversation}/?part=list",)),
    Page("conversation, newest of many messages", (f"{LONG_THREAD}page=latest",)),
    Page("conversation, older messages", (f"{LONG_THREAD}page={{thread_cursor}}",)),
    Page("conversation, at a message", (f"{LONG_THREAD}at={{long_message}}",)),
    Page("details, older messages", ("conversations/conversation/{long}/change/?cursor={thread_cursor}",)),
)


def all_pages() -> Iterator[Page]:
    """Yield every page: those of the table above, and the pages of each registered model."""
    yield from PAGES
    for model, model_admin in admin.site._registry.items():  # noqa: SLF001 - Django has no public name for the registered models
        with suppress(NoReverseMatch):  # a page of the table takes the place of the list
            reverse(f"{_prefix(model)}_change", args=[1])
            yield from _pages_of(model, model_admin)


def _pages_of(model: type[Model], model_admin: Any) -> Iterator[Page]:
    """Yield the pages of a model; the choices of a filter, the orders and the searches are one page each."""
    name = str(model._meta.verbose_name_plural)  # noqa: SLF001 - Django documents _meta
    base = reverse(f"{_prefix(model)}_changelist").removeprefix(ROOT)
    request = RequestFactory().get("/")
    request.user = User.objects.get(pk=1)
    shown = model_admin.get_changelist_instance(request)
    yield Page(f"{name}: list", (base,))
    yield Page(f"{name}: other pages", tuple(f"{base}?p={number}" for number in (2, 3, shown.paginator.num_pages)))
    sortable = [
        place
        for place, column in enumerate(shown.list_display)
        if column in shown.sortable_by and shown.get_ordering_field(column)
    ]
    if sortable:
        yield Page(f"{name}: sorted", tuple(f"{base}?o={sign}{place}" for place in sortable for sign in ("", "-")))
    if model_admin.search_fields:
        yield Page(f"{name}: search", tuple(f"{base}?q={text}" for text in SEARCHES))
    for spec in shown.filter_specs:
        chosen = [_query(shown, spec, choice) for choice in spec.choices(shown) if not choice["selected"]]
        yield Page(f"{name}: filtered by {spec.title}", tuple(f"{base}{query}" for query in chosen))
    for page in ("change", "history", "delete"):
        yield Page(f"{name}: {page}", (f"{base}{{{model.__name__}}}/{page}/",))
    yield Page(f"{name}: add", (f"{base}add/",))


def _query(shown: Any, spec: Any, choice: Mapping[str, Any]) -> str:
    """Return the query of a choice of a filter: that of its link, or what the form of a `ChoiceFilter` sends."""
    return str(choice.get("query_string") or shown.get_query_string({spec.parameter_name: choice["value"]}))


def _prefix(model: type[Model]) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}"  # noqa: SLF001 - Django documents _meta


def visitors() -> list[Visitor]:
    """Return an administrator, and staff that may view all models in all instances and in `OWN`."""
    rights = Permission.objects.filter(codename__startswith="view_")
    found = [Visitor("administrator", _client(), None)]
    found[0].client.force_login(User.objects.get(pk=1))
    for name, instances in (("staff, all numbers", Instance.objects.values_list("pk", flat=True)), ("3 numbers", OWN)):
        user, is_new = User.objects.get_or_create(username=name, defaults={"is_staff": True})
        if is_new:
            user.user_permissions.set(rights)
            Membership.objects.bulk_create(Membership(user=user, instance_id=pk, role="reader") for pk in instances)
        found.append(Visitor(name, _client(), tuple(instances)))
        found[-1].client.force_login(user)
    return found


def _client() -> Client:
    return Client(SERVER_NAME="127.0.0.1")


class Drawn:
    """Draws URLs for the requests of a visitor, so that each request is about other rows."""

    def __init__(self, visitor: Visitor) -> None:
        self._random = random.Random(2026)
        self._rows = {model.__name__: _some_pks(model) for model in admin.site._registry}  # noqa: SLF001 - as above
        self._long = _long_messages()
        rows = Conversation.objects.scoped_to(visitor.instances).order_by(*LATEST_CONVERSATION_FIRST)
        place = min((DEEP_PAGE - 1) * PAGE, rows.count() // 2)
        self._list_cursor = cursor_at(rows[place], LATEST_CONVERSATION_FIRST, "next")

    def url(self, page: Page) -> str:
        """Return a URL of a page."""
        return ROOT + self._random.choice(page.urls).format(**self.values()).replace(" ", "+")

    def values(self) -> Mapping[str, Any]:
        """Return values for one request."""
        pick = self._random.choice
        chat, message = pick(self._rows["Conversation"]), pick(self._long)
        return {
            **{name: pick(pks) if pks else 0 for name, pks in self._rows.items()},
            "instance": pick(OWN),
            "name": pick(NAMES),
            "number": f"{11 + chat % 80} {900_000_000 + chat}",
            "frequent": pick(FREQUENT),
            "rare": pick(RARE),
            "mixed": pick(MIXED),
            "list_cursor": self._list_cursor,
            "long": message.conversation_id,
            "long_message": message.pk,
            "thread_cursor": cursor_at(message, LATEST_FIRST, "next"),
        }


def _some_pks(model: Any) -> Sequence[int]:
    rows = model._default_manager.order_by("pk")  # noqa: SLF001 - Django documents _default_manager
    if any(field.name == "instance" for field in model._meta.fields):  # noqa: SLF001 - Django documents _meta
        rows = rows.filter(instance__in=OWN)
    return list(rows.values_list("pk", flat=True)[:EARLIER])


def _long_messages() -> Sequence[Message]:
    """Return messages from the middle of long conversations."""
    chats = Conversation.objects.filter(instance=OWN[0]).order_by("pk").values_list("pk", flat=True)[:LONG_CHATS]
    return [Message.objects.filter(conversation=chat).order_by(*LATEST_FIRST)[LONG // 2] for chat in chats]
