"""Stored answers: a hit sends no query and makes one round trip, and no answer is behind the database."""

import copy
import datetime as dt
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, connection, models, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from redis.connection import AbstractConnection
from rest_framework.test import APIClient

from cachelayer import cache
from cachelayer.runtime.runtime import get_runtime, runtime
from conversations.access.reading import snapshots
from conversations.api import answers
from conversations.api.serializers.message import MessageSerializer
from conversations.cache_policy import ACCESS, ANSWERS
from conversations.models import ApiToken, Contact, Conversation, Instance, Membership, Role, conversation
from conversations.models.conversation_filters import this_minute
from logs import token_buckets
from tests.cachelayer.conftest import cache_runtime  # noqa: F401 - a fixture
from tests.cachelayer.orm.test_write_paths import FIELDS, OPERATIONS, OTHER_WRITES, World, loaded
from tests.conversations.api.test_access import ROUTES, House, a_house
from tests.conversations.rows import a_chat, a_contact, a_message, an_instance
from tests.effort import sweep
from tests.waiting import StoppedClock

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]

HIT, MISS = "whatsai; hit; detail=answer", "whatsai; fwd=miss"
NOT_CACHED = {"messages/{id}/media/", "messages/{id}/thumbnail/", "media-ticket/"}  # files, and what shows no row
NOT_CACHED |= {"me/", "memberships/", "memberships/{id}/", "tokens/", "cache/stats/"}  # few clients ask for them
NOT_CACHED |= {"webhooks/", "webhooks/{id}/", "webhooks/{id}/attempts/"}  # as above
NOT_CACHED |= {"changes/", "events/", "event-ticket/"}  # each answer is asked for once
GET_ROUTES = [path for method, path in ROUTES if method == "get" and path not in NOT_CACHED]


def url_of(path: str, house: House) -> str:
    route = ROUTES["get", path]
    return "/api/v1/" + path.replace("{id}", str(house.pk(route.model)) if route.model else "") + route.query


def client_of(user: User, **options: Any) -> APIClient:
    return APIClient(headers={"Authorization": f"Token {ApiToken.objects.issue(user, **options)[1]}"})


@pytest.fixture
def house() -> House:
    return a_house()


def test_every_route_that_reads_rows_is_cached() -> None:
    for method, path in ROUTES:
        is_cached = method == "get" and path not in NOT_CACHED
        assert bool(answers.ROUTES.match("/api/v1/" + path.replace("{id}", "1"))) is is_cached or method != "get", path


# --- the cost of a hit ------------------------------------------------------------------------------------------------
@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return a list to which each command that this thread sends to Redis is appended."""
    sent: list[bytes] = []
    this_thread = threading.current_thread()
    send_packed_command: Any = AbstractConnection.send_packed_command

    def record_and_send(self: Any, command: Any, *args: Any, **kwargs: Any) -> None:
        if threading.current_thread() is this_thread:
            sent.append(command)
        send_packed_command(self, command, *args, **kwargs)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", record_and_send)
    return sent


THREAD, CHAT = "conversations/{id}/messages/", "conversations/{id}/"
VARIANTS = [
    *((path, "") for path in GET_ROUTES),
    *((THREAD, f"?anchor={anchor}") for anchor in ("newest", "first_unread", "2026-03-01", "{message}")),
    (THREAD, "?anchor=quoted:{quoting}&expand=sender"),
    (THREAD, "?limit=1"),
    (CHAT, "?expand=contact,instance&fields=name"),
    ("conversations/", "?muted=true"),
    ("conversations/", "?instance={instance}&unread=false&expand=contact"),
    ("conversations/counters/", "?instance={instance}"),
    ("messages/", "?sender={contact}"),
    ("messages/", "?ids={message},{quoting}&fields=text"),
]


@pytest.fixture
def a_minute_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the minute from ending, because answers about muted conversations live until then."""
    minute = this_minute() + dt.timedelta(hours=1)
    monkeypatch.setattr(conversation, "this_minute", lambda: minute)


@pytest.mark.usefixtures("a_minute_without_end")
@pytest.mark.parametrize(("path", "query"), VARIANTS)
def test_a_hit_sends_no_query_and_makes_at_most_one_round_trip(
    api: APIClient, house: House, round_trips: list[bytes], path: str, query: str
) -> None:
    quoting = a_message(house.chat, quoted_key_id=house.message.key_id)
    url = url_of(path, house) + query.format(
        message=house.message.pk, quoting=quoting.pk, instance=house.instance.pk, contact=house.chat.contact_id
    )
    first = api.get(url)
    for send, status in ((api.get, 200), (api.head, 200), (api.get, 304)):
        headers = {"If-None-Match": first["ETag"]} if status == 304 else {}
        round_trips.clear()
        with CaptureQueriesContext(connection) as queries:
            response = send(url, headers=headers)
        assert (response.status_code, response["Cache-Status"]) == (status, HIT)
        assert len(queries) == 0
        assert len(round_trips) <= 1
        assert response.content == (first.content if (send, status) == (api.get, 200) else b"")


def test_a_hit_has_the_headers_of_the_first_answer(api: APIClient, house: House) -> None:
    for path in GET_ROUTES:
        url, own = url_of(path, house), ("Cache-Status", "RateLimit", "X-Request-ID")
        responses = [api.get(url) for _ in range(2)]
        first, second = ({name: value for name, value in one.items() if name not in own} for one in responses)
        assert first == second
        assert api.get(url, headers={"If-None-Match": "*"}).status_code == 304
        assert api.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_hits_and_misses_are_counted(api: APIClient, house: House) -> None:
    for _ in range(3):
        api.get(url_of("messages/", house))
    counts = {name: runtime.counters.shared(name) for name in (ANSWERS, ACCESS)}
    assert [(one.hits, one.misses, one.fills) for one in counts.values()] == [(2, 1, 1), (2, 1, 1)]


def test_a_changed_row_has_another_etag(api: APIClient, house: House) -> None:
    url = url_of("conversations/{id}/", house)
    etag = api.get(url)["ETag"]
    Conversation.objects.pin(house.chat.pk)
    response = api.get(url, headers={"If-None-Match": etag})
    assert (response.status_code, response["Cache-Status"]) == (200, MISS)
    assert response["ETag"] != etag


def test_an_answer_depends_on_the_query_and_on_the_host(api: APIClient, house: House) -> None:
    a_chat(house.instance)
    for query, host in (("", "testserver"), ("limit=1", "testserver"), ("limit=1", "localhost")):
        responses = [api.get(f"/api/v1/conversations/?{query}", headers={"Host": host}) for _ in range(2)]
        assert [one["Cache-Status"] for one in responses][1] == HIT
        page = responses[1].json()
        assert len(page["results"]) == (1 if query else 2)
        assert not query or page["next"].startswith(f"http://{host}/")


def test_answers_of_other_code_are_not_used(api: APIClient, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    url = url_of("messages/", house)
    assert [api.get(url)["Cache-Status"] for _ in range(2)] == [MISS, HIT]
    monkeypatch.setattr(answers, "answers", type(answers.answers)(ANSWERS, "other code"))
    assert api.get(url)["Cache-Status"] == "whatsai; hit; detail=shared"


def test_a_user_adds_a_limited_number_of_bytes_to_the_store(
    api: APIClient, house: House, bia: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, url = StoppedClock(), "/api/v1/conversations/?limit="
    monkeypatch.setattr(token_buckets, "monotonic", clock)
    size = len(api.get(f"{url}1").content)
    monkeypatch.setattr(answers, "STORED_BYTES", size * 5.5)
    answers.stored.reset()
    spellings = [f"{url}{'0' * zeros}1" for zeros in range(1, 20)]
    assert {api.get(spelling).status_code for spelling in spellings} == {200}
    assert runtime.counters.shared(ANSWERS).fills == 1 + 6
    assert [api.get(spelling)["Cache-Status"] == HIT for spelling in spellings] == [True] * 6 + [False] * 13
    Membership.objects.create(user=bia, instance=house.instance)
    other, detail = client_of(bia), url_of("conversations/{id}/", house)
    assert [other.get(detail)["Cache-Status"] for _ in range(2)] == [MISS, HIT], "each user has a limit"
    clock.now += answers.WINDOW
    assert [api.get(spellings[-1])["Cache-Status"] == HIT for _ in range(2)] == [False, True]


# --- an answer shows what the database contains -----------------------------------------------------------------------
def paths_of(world: World) -> list[str]:
    """Return the URL of each kind of answer about a world."""
    mine, chat, group, contact = world.mine, world.chats[0], world.groups[0], world.contacts[0]
    message = group.messages.earliest("pk")
    return [
        "/api/v1/instances/",
        f"/api/v1/instances/{mine.pk}/",
        "/api/v1/contacts/",
        f"/api/v1/contacts/?instance={mine.pk}&limit=3",
        f"/api/v1/contacts/{contact.pk}/",
        "/api/v1/conversations/",
        f"/api/v1/conversations/?instance={mine.pk}",
        f"/api/v1/conversations/{chat.pk}/",
        f"/api/v1/conversations/{group.pk}/",
        f"/api/v1/conversations/{group.pk}/messages/",
        f"/api/v1/messages/?instance={mine.pk}",
        f"/api/v1/messages/{message.pk}/",
        f"/api/v1/conversations/?instance={mine.pk},{world.chats[-1].instance_id}&expand=contact,instance",
        f"/api/v1/conversations/{chat.pk}/?expand=contact",
        f"/api/v1/conversations/{group.pk}/messages/?anchor=first_unread&expand=sender",
        f"/api/v1/conversations/{group.pk}/messages/?anchor={message.pk}&before=0",
        "/api/v1/messages/?expand=sender,conversation,instance&fields=id,text",
    ]


def check_answers_after(api: APIClient, world: World, write: Callable[[], object]) -> bool:
    """Check all answers after a write; return whether the write changed one."""
    paths = paths_of(world)
    api = copy.copy(api)
    api.defaults = {**api.defaults, "HTTP_X_REQUEST_ID": "errors-contain-it"}
    before = [api.get(path).content for path in paths]
    assert {api.get(path)["Cache-Status"] for path in paths} == {HIT}
    with suppress(DatabaseError, ValueError, ObjectDoesNotExist):  # the cache must be right after a failure too
        write()
    found = [api.get(path).content for path in paths]
    cache.clear_all()
    expected = [api.get(path).content for path in paths]
    assert found == expected
    return found != before


@pytest.mark.parametrize("model", sweep(FIELDS, on_both=[Conversation]))
def test_every_answer_agrees_with_the_database_after_a_row_is_written(
    api: APIClient, model: type[models.Model]
) -> None:
    changes = 0
    world = World()
    for operate in OPERATIONS.values():
        if not all(world.row_of(model, one) for one in world.instances):
            world = World()
        row = loaded(world, model, world.new_value())
        changes += check_answers_after(api, world, lambda row=row, operate=operate: operate(row))  # type: ignore[misc]  # mypy cannot infer the type of a lambda's default
    assert changes >= 3, "most writes failed"


@pytest.mark.parametrize(
    "name", ["update", "update of related rows", "update of the owner", "update by the base manager", "bulk_create"]
)
def test_every_answer_agrees_with_the_database_after_many_rows_are_written(api: APIClient, name: str) -> None:
    world = World()
    check_answers_after(api, world, lambda: OTHER_WRITES[name](world))


def test_a_conversation_shows_the_present_labels_of_its_instance(api: APIClient) -> None:
    instance = an_instance(labels={"1": {"name": "new"}})
    chat = a_chat(instance, labels={"1": True})
    for url in (f"/api/v1/conversations/{chat.pk}/", "/api/v1/conversations/"):
        instance.labels["1"]["deleted"] = False
        instance.save()
        assert b'"labels":["1"]' in api.get(url).content
        assert api.get(url)["Cache-Status"] == HIT
        instance.labels["1"]["deleted"] = True
        instance.save()
        assert b'"labels":[]' in api.get(url).content


def test_an_answer_that_was_read_during_a_write_is_not_stored(api: APIClient, house: House) -> None:
    url = url_of("conversations/", house)
    api.get(url)
    get_runtime().store.begin(b"w" * 16, [f"conversation:{house.chat.pk}", "conversations:all"])
    assert {api.get(url)["Cache-Status"] for _ in range(3)} == {"whatsai; fwd=bypass"}
    get_runtime().store.end(b"w" * 16, [f"conversation:{house.chat.pk}", "conversations:all"])
    assert [api.get(url)["Cache-Status"] for _ in range(2)] == [MISS, HIT]


def test_a_transaction_that_is_rolled_back_leaves_nothing_behind(api: APIClient, house: House) -> None:
    url = url_of("conversations/{id}/", house)
    api.get(url)
    with suppress(KeyError), transaction.atomic():
        Conversation.objects.pin(house.chat.pk)
        assert api.get(url).json()["is_pinned"]
        raise KeyError
    assert not api.get(url).json()["is_pinned"]


# --- access -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def bia() -> User:
    return User.objects.create_user("bia")


@pytest.mark.parametrize("path", GET_ROUTES)
def test_an_answer_is_not_shown_to_others(api: APIClient, house: House, bia: User, path: str) -> None:
    url, client = url_of(path, house), client_of(bia)
    shown = [api.get(url).content for _ in range(2)][1]
    response = client.get(url)
    assert response.status_code == 404 if ROUTES["get", path].model else not response.json()["results"]
    Membership.objects.create(user=bia, instance=house.instance, role=Role.READER)
    assert [client.get(url).content for _ in range(2)] == [shown, shown]
    assert client.get(url)["Cache-Status"] == HIT


def test_a_detail_is_rendered_once_for_all_who_may_see_it(api: APIClient, house: House, bia: User) -> None:
    Membership.objects.create(user=bia, instance=house.instance)
    url = url_of("conversations/{id}/", house)
    assert [one.get(url)["Cache-Status"] for one in (api, client_of(bia))] == [MISS, HIT]


def changes_of_access(bia: User, house: House, membership: Membership, token: ApiToken) -> dict[str, Any]:
    def deactivate() -> None:
        bia.is_active = False
        bia.save()

    def narrow() -> None:
        token.instance_ids = []
        token.save()

    def without_scope() -> None:
        token.scopes = []
        token.save()

    return {
        "the membership ends": (membership.delete, 404),
        "memberships end by a query": (Membership.objects.all().delete, 404),
        "the token is revoked": (token.revoke, 401),
        "the token is deleted": (token.delete, 401),
        "the token is limited": (narrow, 404),
        "the token loses its scope": (without_scope, 403),
        "the user is inactive": (deactivate, 401),
        "the user is deleted": (bia.delete, 401),
        "the instance is deleted": (lambda: Instance.objects.delete(house.instance.pk), 404),
    }


@pytest.mark.parametrize("name", list(changes_of_access(User(), House(None, None, None), Membership(), ApiToken())))  # type: ignore[arg-type]  # only the names are used
def test_a_change_of_access_holds_from_the_next_request_on(house: House, bia: User, name: str) -> None:
    membership = Membership.objects.create(user=bia, instance=house.instance)
    row, token = ApiToken.objects.issue(bia)
    client, url = APIClient(headers={"Authorization": f"Token {token}"}), url_of("conversations/{id}/", house)
    assert [client.get(url)["Cache-Status"] for _ in range(2)] == [MISS, HIT]
    change, status = changes_of_access(bia, house, membership, row)[name]
    change()
    assert client.get(url).status_code == status
    assert client.post(f"{url}archive/").status_code in {status, 404, 403}


def test_a_token_expires_by_the_clock(house: House, bia: User, monkeypatch: pytest.MonkeyPatch) -> None:
    Membership.objects.create(user=bia, instance=house.instance)
    soon = timezone.now() + dt.timedelta(hours=1)
    client, url = client_of(bia, expires_at=soon), url_of("conversations/{id}/", house)
    assert [client.get(url)["Cache-Status"] for _ in range(2)] == [MISS, HIT]
    monkeypatch.setattr(timezone, "now", lambda: soon)
    assert client.get(url).status_code == 401


def test_unknown_tokens_leave_nothing_behind(house: House, round_trips: list[bytes]) -> None:
    snapshots.reset()
    client, url = APIClient(headers={"Authorization": "Token wai_unknown"}), url_of("conversations/{id}/", house)
    round_trips.clear()
    assert {client.get(url).status_code for _ in range(3)} == {401}
    assert not round_trips
    assert snapshots.find("wai_unknown") is None


def test_only_some_snapshots_are_kept() -> None:
    few = type(snapshots)(snapshots._namespace, max_items=3)  # noqa: SLF001 - a test of the bound
    for key in range(10):
        few.load(key, ("access:user:1",), lambda key=key: key)  # type: ignore[misc]  # any value will do
    assert [key for key in range(10) if few.find(key)] == [7, 8, 9]


# --- without the store ------------------------------------------------------------------------------------------------
def test_an_answer_comes_from_the_database_while_the_cache_is_bypassed(api: APIClient, house: House) -> None:
    url = url_of("conversations/{id}/", house)
    api.get(url)
    runtime.breaker.is_closed = False
    try:
        responses = [api.get(url) for _ in range(2)]
    finally:
        runtime.breaker.is_closed = True
    assert {one["Cache-Status"] for one in responses} == {"whatsai; fwd=bypass"}
    assert api.get(url)["Cache-Status"] == HIT


# --- queries without the cache ----------------------------------------------------------------------------------------
def test_an_answer_that_reads_without_the_cache_is_not_stored(
    api: APIClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MessageSerializer, "get_media", lambda *_: {"count": Contact.objects.count()})
    url = url_of("messages/{id}/", house)
    assert api.get(url).json()["media"] == {"count": 1}
    a_contact(house.instance)
    assert api.get(url).json()["media"] == {"count": 2}
