"""The access matrix: every route of the API's schema, by every kind of asker, for rows of their instance and another.

A route that is missing in `ROUTES` fails. Each request is made with an empty cache, and again after an administrator
has filled the cache with the same answer. On PostgreSQL, a few askers ask; with EXPLORE=all, every one.
"""

import datetime as dt
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from cachelayer import cache
from conversations.api.authentication import refusals
from conversations.changes.following import FOLLOW
from conversations.evolution.media_names import media_name
from conversations.models import ApiToken, Conversation, Instance, Membership, Message, Role, Scope, WebhookSubscription
from tests.conversations.media.pictures import a_picture
from tests.conversations.rows import a_chat, a_message, an_instance
from tests.effort import sweep

pytestmark = pytest.mark.django_db
PREFIX = "/api/v1/"


@dataclass(frozen=True)
class House:
    """One instance with one row of each model."""

    instance: Instance
    chat: Conversation
    message: Message

    def pk(self, model: str) -> int:
        """Return the primary key of this instance's row of a model; rows that a request may delete are new ones."""
        pks: dict[str, Callable[[], int | None]] = {
            "instance": lambda: self.instance.pk,
            "contact": lambda: self.chat.contact_id,
            "conversation": lambda: self.chat.pk,
            "message": lambda: self.message.pk,
            "webhook": lambda: a_webhook().pk,
            "membership": lambda: Membership.objects.create(user=another_user(), instance=self.instance).pk,
        }
        return int(pks[model]() or 0)


def another_user() -> User:
    return User.objects.create(username=secrets.token_hex(8))


def a_webhook() -> WebhookSubscription:
    return WebhookSubscription.objects.create(user=another_user(), url="https://example.com/", cursor="")


def a_house() -> House:
    instance = an_instance()
    chat = a_chat(instance)
    name = default_storage.save(media_name(instance.pk, secrets.token_hex(32)), ContentFile(a_picture()))
    message = a_message(chat, kind="image", media={"mimetype": "image/png", "file": name})
    Conversation.objects.recount(chat.pk)
    return House(instance, chat, message)


@dataclass(frozen=True)
class Route:
    """What a route needs.

    Attributes:
        scope: the scope of the token.
        query: query parameters.
        is_for_administrators: whether only superusers are admitted, with a token that is not limited to instances.
        model: the model of the row in the path, or in the body; "" for a list.
        role_scope: what the role must permit, if that is not `scope`.
        body: returns what is sent about an instance.
        status: the status of a success.
        environ: WSGI variables of the request.
    """

    scope: Scope
    model: str = ""
    query: str = ""
    is_for_administrators: bool = False
    role_scope: Scope | None = None
    body: Callable[[House], dict[str, Any]] | None = None
    status: int = 200
    environ: dict[str, Any] = field(default_factory=dict)


def a_new_membership(house: House) -> dict[str, Any]:
    return {"instance_id": house.instance.pk, "username": another_user().username, "role": "agent"}


def a_new_token(house: House) -> dict[str, Any]:
    return {"instance_ids": [house.instance.pk], "scopes": ["read"]}


def a_change_of_many(house: House) -> dict[str, Any]:
    return {"action": "pin", "filter": {"ids": [house.chat.pk]}}


# (method, path below /api/v1/) → what the route needs
ROUTES = {
    ("get", "instances/"): Route(Scope.READ),
    ("get", "instances/{id}/"): Route(Scope.READ, "instance"),
    ("get", "contacts/"): Route(Scope.READ),
    ("get", "contacts/{id}/"): Route(Scope.READ, "contact"),
    ("patch", "contacts/{id}/"): Route(Scope.WRITE, "contact", body=lambda _: {"custom_name": "Ana"}),
    ("get", "conversations/"): Route(Scope.READ),
    ("get", "conversations/counters/"): Route(Scope.READ),
    ("get", "conversations/{id}/"): Route(Scope.READ, "conversation"),
    ("patch", "conversations/{id}/"): Route(Scope.WRITE, "conversation", body=lambda _: {"is_pinned": True}),
    ("get", "conversations/{id}/messages/"): Route(Scope.READ, "conversation"),
    ("get", "conversations/{id}/participants/"): Route(Scope.READ, "conversation"),
    ("get", "messages/"): Route(Scope.READ),
    ("get", "messages/{id}/"): Route(Scope.READ, "message"),
    ("get", "messages/{id}/media/"): Route(Scope.READ, "message"),
    ("get", "messages/{id}/thumbnail/"): Route(Scope.READ, "message"),
    ("get", "media-ticket/"): Route(Scope.READ),
    ("get", "search/contacts/"): Route(Scope.READ, query="?q=5511"),
    ("get", "search/conversations/"): Route(Scope.READ, query="?q=5511"),
    ("get", "search/messages/"): Route(Scope.READ, query="?q=message"),
    ("get", "changes/"): Route(Scope.READ),
    ("get", "events/"): Route(Scope.READ, environ={FOLLOW: lambda _: None}),
    ("get", "event-ticket/"): Route(Scope.READ),
    ("get", "cache/stats/"): Route(Scope.MANAGE, is_for_administrators=True),
    ("post", "conversations/bulk/"): Route(Scope.WRITE, body=a_change_of_many),
    **{
        ("post", f"conversations/{{id}}/{action}/"): Route(Scope.WRITE, "conversation")
        for action in ("mark-read", "mark-unread", "archive", "unarchive", "pin", "unpin")
    },
    ("get", "me/"): Route(Scope.READ),
    ("get", "memberships/"): Route(Scope.MANAGE),
    ("post", "memberships/"): Route(Scope.MANAGE, "instance", body=a_new_membership, status=201),
    ("get", "memberships/{id}/"): Route(Scope.MANAGE, "membership"),
    ("patch", "memberships/{id}/"): Route(Scope.MANAGE, "membership", body=lambda _: {"role": "reader"}),
    ("delete", "memberships/{id}/"): Route(Scope.MANAGE, "membership", status=204),
    **{
        ("post", f"webhooks/{{id}}/{action}/"): Route(
            Scope.MANAGE, "webhook", is_for_administrators=True, body=body, status=status
        )
        for action, body, status in (
            ("test", None, 202),
            ("replay", lambda _: {"after": "now"}, 200),
            ("rotate-secret", None, 200),
        )
    },
    ("get", "webhooks/"): Route(Scope.MANAGE, is_for_administrators=True),
    ("post", "webhooks/"): Route(
        Scope.MANAGE, is_for_administrators=True, body=lambda _: {"url": "https://example.com/"}, status=201
    ),
    ("get", "webhooks/{id}/"): Route(Scope.MANAGE, "webhook", is_for_administrators=True),
    ("patch", "webhooks/{id}/"): Route(
        Scope.MANAGE, "webhook", is_for_administrators=True, body=lambda _: {"name": "CRM"}
    ),
    ("delete", "webhooks/{id}/"): Route(Scope.MANAGE, "webhook", is_for_administrators=True, status=204),
    ("get", "webhooks/{id}/attempts/"): Route(Scope.MANAGE, "webhook", is_for_administrators=True),
    ("get", "tokens/"): Route(Scope.MANAGE),
    ("post", "tokens/"): Route(Scope.MANAGE, "instance", role_scope=Scope.READ, body=a_new_token, status=201),
}
# Routes whose rows belong to a user, and not to an instance; `test_access_views` tests them.
PERSONAL = {("delete", "tokens/{id}/")}

Issue = Callable[[User], str]


def issue(**options: Any) -> Issue:
    return lambda user: ApiToken.objects.issue(user, **options)[1]


def issue_revoked(user: User) -> str:
    row, token = ApiToken.objects.issue(user)
    row.revoke()
    return token


def issue_for_another(user: User) -> str:
    return ApiToken.objects.issue(user, instances=[an_instance().pk])[1]


@dataclass(frozen=True)
class Asker:
    """Who asks: the role in their own instance, their token, and what may be done there and elsewhere."""

    role: Role | None
    token: Issue | None
    own: tuple[Scope, ...] = ()
    foreign: tuple[Scope, ...] = ()
    is_superuser: bool = False
    is_active: bool = True
    is_known: bool = True


EVERYTHING = tuple(Scope)
ASKERS = {
    "anonymous": Asker(None, None, is_known=False),
    "stranger": Asker(None, issue()),
    "reader": Asker(Role.READER, issue(), own=(Scope.READ,)),
    "agent": Asker(Role.AGENT, issue(), own=(Scope.READ, Scope.WRITE, Scope.SEND)),
    "manager": Asker(Role.MANAGER, issue(), own=EVERYTHING),
    "administrator": Asker(None, issue(), own=EVERYTHING, foreign=EVERYTHING, is_superuser=True),
    "expired token": Asker(
        Role.MANAGER, issue(expires_at=timezone.now() - dt.timedelta(seconds=1)), is_known=False, own=EVERYTHING
    ),
    "revoked token": Asker(Role.MANAGER, issue_revoked, is_known=False),
    "inactive user": Asker(Role.MANAGER, issue(), is_known=False, is_active=False),
    "token for reading": Asker(Role.MANAGER, issue(scopes=["read"]), own=(Scope.READ,)),
    "token for another instance": Asker(Role.MANAGER, issue_for_another),
    "administrator's token for another instance": Asker(None, issue_for_another, is_superuser=True),
}


def test_every_route_of_the_schema_is_in_the_matrix() -> None:
    generator: Any = SchemaGenerator
    paths = generator().get_schema(request=None, public=True)["paths"]
    routes = {
        (method, path.removeprefix(PREFIX))
        for path, operations in paths.items()
        for method in operations
        if method in ("get", "post", "put", "patch", "delete") and path.startswith(PREFIX)
    }
    assert routes == set(ROUTES) | PERSONAL


@pytest.fixture
def houses() -> Iterator[tuple[House, House]]:
    pair = (a_house(), a_house())
    yield pair
    for house in pair:
        default_storage.delete(house.message.media["file"])


@pytest.mark.parametrize("name", sweep(ASKERS, on_both=["agent", "token for another instance"]))
def test_nobody_sees_or_changes_what_is_not_theirs(houses: tuple[House, House], name: str) -> None:
    own, foreign = houses
    asker = ASKERS[name]
    user = User.objects.create_user(name, is_superuser=asker.is_superuser, is_active=asker.is_active)
    if asker.role:
        Membership.objects.create(user=user, instance=own.instance, role=asker.role)
    client = APIClient(headers={"Authorization": f"Token {asker.token(user)}"} if asker.token else {})
    administrator = User.objects.create_user("warm", is_superuser=True)
    warm = APIClient(headers={"Authorization": f"Token {ApiToken.objects.issue(administrator)[1]}"})
    for (method, path), route in ROUTES.items():
        for house, permitted in ((own, asker.own), (foreign, asker.foreign)):
            cache.clear_all()
            refusals.reset()
            answers = [send(client, method, path, house)]
            if method == "get":  # changes are never answered from the cache
                receive(send(warm, method, path, house))
                answers.append(send(client, method, path, house))
            for answer in answers:
                receive(answer)
                label = f"{name}: {method} {path}"
                expected = expected_status(asker, route, permitted)
                assert answer.status_code == (route.status if expected == 200 else expected), label
                if answer.status_code == 200 and not route.model and answer["Content-Type"] == "application/json":
                    assert shown_instances(answer.json()) <= permitted_instances(asker, own, foreign), label


def send(client: APIClient, method: str, path: str, house: House) -> Any:
    route = ROUTES[method, path]
    url = PREFIX + (path.replace("{id}", str(house.pk(route.model))) if "{id}" in path else path) + route.query
    body = {"data": route.body(house), "format": "json"} if route.body else {}
    return getattr(client, method)(url, **body, **route.environ)


def receive(answer: Any) -> None:
    """Read the body of an answer, which closes a file that is sent."""
    if answer.streaming:
        b"".join(answer.streaming_content)


def expected_status(asker: Asker, route: Route, permitted: tuple[Scope, ...]) -> int:
    if not asker.is_known:
        return 401
    is_scope_missing = asker.token is not None and route.scope not in token_scopes(asker)
    if is_scope_missing:
        return 403
    if route.is_for_administrators:
        return 200 if asker is ASKERS["administrator"] else 403
    if not route.model or (route.role_scope or route.scope) in permitted:
        return 200
    return 403 if Scope.READ in permitted else 404


def token_scopes(asker: Asker) -> tuple[Scope, ...]:
    return (Scope.READ,) if asker is ASKERS["token for reading"] else EVERYTHING


def permitted_instances(asker: Asker, own: House, foreign: House) -> set[int]:
    return {house.instance.pk for house, scopes in ((own, asker.own), (foreign, asker.foreign)) if scopes} | (
        set(Instance.objects.exclude(pk__in=[own.instance.pk, foreign.instance.pk]).values_list("pk", flat=True))
    )


def shown_instances(page: dict[str, Any]) -> set[int]:
    if "memberships" in page:  # the answer about oneself
        return {row["instance_id"] for row in page["memberships"]}
    if any("instance_ids" in row for row in page.get("results", ())):  # tokens and webhooks
        return {pk for row in page["results"] for pk in row["instance_ids"] or ()}
    return {row.get("instance_id", row.get("id")) for row in page.get("results", ())}


COUNTERS = "conversations/counters/"
SEARCHES = ["search/contacts/?q=5511", "search/conversations/?q=5511", "search/messages/?q=message"]


@pytest.mark.parametrize("path", ["instances/", "contacts/", "conversations/", "messages/", *SEARCHES, COUNTERS])
def test_a_list_shows_all_that_is_theirs(houses: tuple[House, House], path: str) -> None:
    own, foreign = houses
    user = User.objects.create_user("ana")
    client = APIClient(headers={"Authorization": f"Token {ApiToken.objects.issue(user)[1]}"})
    for visible in ([], [own], [own, foreign], [foreign]):
        Membership.objects.filter(user=user).delete()
        for house in visible:
            Membership.objects.create(user=user, instance=house.instance, role=Role.READER)
        shown = shown_instances(client.get(PREFIX + path).json())
        assert shown == {house.instance.pk for house in visible}


@pytest.mark.parametrize("path", ["contacts/", "conversations/", "messages/", *SEARCHES, COUNTERS])
def test_a_filter_by_a_foreign_instance_finds_nothing(houses: tuple[House, House], path: str) -> None:
    own, foreign = houses
    user = User.objects.create_user("ana")
    Membership.objects.create(user=user, instance=own.instance, role=Role.READER)
    client = APIClient(headers={"Authorization": f"Token {ApiToken.objects.issue(user)[1]}"})
    url = f"{PREFIX}{path}{'&' if '?' in path else '?'}instance="
    assert client.get(f"{url}{foreign.instance.pk}").json()["results"] == []
    assert len(client.get(f"{url}{own.instance.pk}").json()["results"]) == 1


def test_the_end_of_access_holds_from_the_next_request_on(houses: tuple[House, House]) -> None:
    own, _ = houses
    user = User.objects.create_user("ana")
    membership = Membership.objects.create(user=user, instance=own.instance, role=Role.AGENT)
    row, token = ApiToken.objects.issue(user)
    client = APIClient(headers={"Authorization": f"Bearer {token}"})
    url, archive = f"{PREFIX}conversations/{own.chat.pk}/", f"{PREFIX}conversations/{own.chat.pk}/archive/"
    assert (client.get(url).status_code, client.post(archive).status_code) == (200, 200)
    membership.role = Role.READER
    membership.save()
    assert (client.get(url).status_code, client.post(archive).status_code) == (200, 403)
    membership.delete()
    assert (client.get(url).status_code, client.post(archive).status_code) == (404, 404)
    Membership.objects.create(user=user, instance=own.instance, role=Role.MANAGER)
    assert client.get(url).status_code == 200
    row.revoke()
    assert client.get(url).status_code == 401
