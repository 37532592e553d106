"""A request cannot tell a row of another instance from a row that does not exist: not by status, header or content.

A request is sent with an empty cache, and in several ways after an administrator has filled the cache with the row.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from rest_framework.test import APIClient

from cachelayer import cache
from conversations.models import ApiToken, Membership, Role
from tests.cachelayer.conftest import cache_runtime  # noqa: F401 - a fixture
from tests.conversations.api.test_access import PERSONAL, PREFIX, ROUTES, House, a_house
from tests.conversations.rows import an_instance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]
UNKNOWN_PK = 10**12
OWN_HEADERS = ("X-Request-ID", "RateLimit")  # each answer has its own

ASKERS: dict[str, dict[str, Any]] = {
    "reader": {"role": Role.READER},
    "narrowed token": {"role": Role.MANAGER, "limited": True},
    "administrator's narrowed token": {"is_superuser": True, "limited": True},
}
PLAIN: dict[str, dict[str, Any]] = {"plain": {}}
CHANGES = PLAIN | {
    "with a condition": {"headers": {"If-Match": '"x"', "If-Unmodified-Since": "Sat, 29 Oct 1994 19:43:31 GMT"}},
}
READS = CHANGES | {
    "HEAD": {"method": "head"},
    "OPTIONS": {"method": "options"},
    "PUT": {"method": "put"},
    "with an unknown parameter": {"query": "?wrong=1"},
    "with parameters": {"query": "?fields=id&expand=instance"},
    "for HTML": {"query": "?format=api", "headers": {"Accept": "text/html"}},
    "for a part": {"headers": {"Range": "bytes=0-1"}},
    "with any ETag": {"headers": {"If-None-Match": "*"}},
    "fresh": {"headers": {"Cache-Control": "no-cache"}},
}


@pytest.fixture
def foreign() -> Iterator[House]:
    house = a_house()
    yield house
    default_storage.delete(house.message.media["file"])


def client_of(*, role: Role | None = None, is_superuser: bool = False, limited: bool = False) -> APIClient:
    user, shop = User.objects.create_user("ana", is_superuser=is_superuser), an_instance()
    if role:
        Membership.objects.create(user=user, instance=shop, role=role)
    token = ApiToken.objects.issue(user, instances=[shop.pk] if limited else None)[1]
    return APIClient(headers={"Authorization": f"Token {token}"})


def administrator() -> APIClient:
    user = User.objects.create_user("root", is_superuser=True)
    return APIClient(headers={"Authorization": f"Token {ApiToken.objects.issue(user)[1]}"})


def shown(response: Any) -> tuple[Any, ...]:
    """Return all that an answer shows, but what differs between any two answers."""
    headers = {name: value for name, value in response.items() if name not in OWN_HEADERS}
    return (
        response.status_code,
        headers,
        response.content.decode().replace(response.headers.get("X-Request-ID", "?"), ""),
    )


@pytest.mark.parametrize("name", list(ASKERS))
def test_a_foreign_row_is_like_one_that_does_not_exist(foreign: House, name: str) -> None:
    client, root = client_of(**ASKERS[name]), administrator()
    routes = [(method, path, foreign.pk(ROUTES[method, path].model)) for method, path in ROUTES if "{id}" in path]
    routes += [(method, path, ApiToken.objects.latest("pk").pk) for method, path in PERSONAL]
    for method, path, pk in routes:
        cache.clear_all()
        compare(client, method, path, pk, PLAIN)
        if method == "get":
            answer = root.get(PREFIX + path.replace("{id}", str(pk)))
            _ = answer.getvalue() if answer.streaming else answer.content
        compare(client, method, path, pk, READS if method == "get" else CHANGES)


def compare(client: APIClient, method: str, path: str, pk: int, requests: dict[str, dict[str, Any]]) -> None:
    """Check that each request is answered in the same way for a row and for a row that does not exist."""
    for label, request in requests.items():
        send, query = getattr(client, request.get("method", method)), request.get("query", "")
        urls = [PREFIX + path.replace("{id}", str(key)) + query for key in (UNKNOWN_PK, pk)]
        unknown, foreign = (shown(send(url, headers=request.get("headers"))) for url in urls)
        assert unknown == foreign, f"{label} {method} {path}"


@pytest.mark.parametrize("name", list(ASKERS))
def test_a_filter_by_a_foreign_row_is_like_one_by_a_row_that_does_not_exist(foreign: House, name: str) -> None:
    client, root = client_of(**ASKERS[name]), administrator()
    pks = {"instance": foreign.instance.pk, "message": foreign.message.pk}
    lists = ("contacts", "conversations", "messages")
    urls = [(f"{path}/?{more}instance=", "instance") for path in lists for more in ("", "expand=instance&fields=id&")]
    for url, model in urls:
        cache.clear_all()
        for _ in range(2):
            answers = [shown(client.get(f"{PREFIX}{url}{pk}")) for pk in (UNKNOWN_PK, pks[model])]
            assert [answer[0] for answer in answers] == [200, 200]
            assert answers[0][2] == answers[1][2]
            root.get(f"{PREFIX}{url}{pks[model]}")


def test_the_etag_of_an_answer_is_of_no_use_to_others(foreign: House) -> None:
    client, root = client_of(role=Role.READER), administrator()
    for method, path in ROUTES:
        route = ROUTES[method, path]
        if method == "get" and route.model:
            url = PREFIX + path.replace("{id}", str(foreign.pk(route.model)))
            answers = [root.get(url) for _ in range(2)]
            for answer in answers:
                _ = answer.getvalue() if answer.streaming else answer.content
                found = client.get(url, headers={"If-None-Match": answer["ETag"], "If-Range": answer["ETag"]})
                assert found.status_code in (403, 404), path


def test_a_cursor_of_another_user_shows_nothing_of_theirs(foreign: House) -> None:
    client, root = client_of(role=Role.READER), administrator()
    for path in ("instances/", "contacts/", "conversations/", "messages/", "memberships/"):
        page = root.get(f"{PREFIX}{path}?limit=1").json()
        for url in (page["next"], page["previous"]):
            if url:
                rows = client.get(url).json().get("results", [])
                assert foreign.instance.pk not in {row.get("instance_id", row["id"]) for row in rows}
    assert foreign.instance.pk
