"""Reads have validators, and a change that names an old version of its row is refused."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from conversations.api.preconditions import names
from conversations.models import ApiToken, Contact, Conversation
from tests.conversations.api.test_access import ROUTES, House, a_house
from tests.conversations.rows import a_chat, an_instance

pytestmark = pytest.mark.django_db


@pytest.fixture
def chat() -> Conversation:
    return a_chat(an_instance())


@pytest.fixture
def house() -> Iterator[House]:
    house = a_house()
    yield house
    default_storage.delete(house.message.media["file"])


CHANGING = {"cache/stats/", "changes/", "events/"}  # counters and positions go on
READS = [path for method, path in ROUTES if method == "get" and path not in CHANGING]


@pytest.mark.parametrize("path", ["schema/", *(f"v1/{path}" for path in READS)])
def test_every_read_has_an_etag_and_is_not_sent_again(api: APIClient, house: House, path: str) -> None:
    url = "/api/" + path.replace("{id}", str(house.pk(ROUTES["get", path[3:]].model)) if "{id}" in path else "")
    url += ROUTES["get", path[3:]].query if path.startswith("v1/") else ""
    first, other = api.get(url), api.get(url, headers={"If-None-Match": '"other"'})
    assert (first.status_code, other.status_code, bool(first["ETag"])) == (200, 200, True)
    assert first.getvalue() == other.getvalue() != b""
    second = api.get(url, headers={"If-None-Match": first["ETag"]})
    assert (second.status_code, second.getvalue(), second["ETag"]) == (304, b"", first["ETag"])


def test_a_row_says_when_it_was_changed(api: APIClient, chat: Conversation) -> None:
    Conversation.objects.filter(pk=chat.pk).update(updated_at="2026-11-20T12:00:00.9Z")
    Contact.objects.filter(conversation=chat).update(updated_at="2026-11-19T12:00:00Z")
    for path, day in ((f"conversations/{chat.pk}/", 20), (f"contacts/{chat.contact_id}/", 19)):
        for _ in range(2):
            assert f"{day} Nov 2026 12:00:00 GMT" in api.get(f"/api/v1/{path}")["Last-Modified"]


ACTIONS = ["mark-read", "mark-unread", "archive", "unarchive", "pin", "unpin"]


@pytest.mark.parametrize("name", ACTIONS)
def test_a_change_of_a_known_version_is_made_and_of_another_refused(
    api: APIClient, chat: Conversation, name: str
) -> None:
    url = f"/api/v1/conversations/{chat.pk}/"
    known = api.get(url)["ETag"]
    Conversation.objects.increment_unread(chat.pk)
    before = api.get(url)
    refused = api.post(f"{url}{name}/", headers={"If-Match": known})
    assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    assert api.get(url).content == before.content
    for etag in (before["ETag"], "*", None):
        changed = api.post(f"{url}{name}/", headers={"If-Match": etag} if etag else {})
        assert changed.status_code == 200
        assert changed["ETag"] == api.get(url)["ETag"]


@pytest.mark.parametrize(
    "query", ["?fields=is_pinned", "?expand=contact,instance", "?fields=name,contact_id&expand=contact"]
)
def test_a_change_may_name_the_version_that_was_read_with_the_same_content(
    api: APIClient, chat: Conversation, query: str
) -> None:
    url = f"/api/v1/conversations/{chat.pk}/"
    known = api.get(url + query)["ETag"]
    assert api.patch(url, {"is_archived": True}, format="json", headers={"If-Match": known}).status_code == 412
    assert api.post(f"{url}archive/", headers={"If-Match": known}).status_code == 412
    for method, path, body in (("post", f"{url}pin/{query}", {}), ("patch", url + query, {"is_archived": True})):
        changed = getattr(api, method)(path, body, format="json", headers={"If-Match": known})
        assert (changed.status_code, changed.content) == (200, api.get(url + query).content)
        known = changed["ETag"]
    assert api.post(f"{url}pin/?colour=red").status_code == 400


def test_the_answer_to_a_change_names_the_version_for_the_next_one(api: APIClient, chat: Conversation) -> None:
    url, etag = f"/api/v1/conversations/{chat.pk}/", "*"
    for name in ACTIONS:
        answer = api.post(f"{url}{name}/", headers={"If-Match": etag})
        assert answer.status_code == 200
        etag = answer["ETag"]


def test_a_change_can_be_limited_by_time(api: APIClient, chat: Conversation) -> None:
    url = f"/api/v1/conversations/{chat.pk}/"
    Conversation.objects.filter(pk=chat.pk).update(updated_at="2026-11-20T12:00:00Z")
    for second, status in (("11:59:59", 412), ("12:00:00", 200)):
        since = {"If-Unmodified-Since": f"Fri, 20 Nov 2026 {second} GMT"}
        assert api.post(f"{url}pin/", headers=since).status_code == status


def test_a_foreign_row_is_not_found_whatever_version_is_named(chat: Conversation) -> None:
    _, token = ApiToken.objects.issue(User.objects.create_user("eva"))
    stranger = APIClient(headers={"Authorization": f"Token {token}"})
    assert stranger.post(f"/api/v1/conversations/{chat.pk}/pin/", headers={"If-Match": "*"}).status_code == 404


@pytest.mark.parametrize(
    ("known", "is_named"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("a", False), ('"*"', False)],
)
def test_versions_are_named_by_etags(known: str, *, is_named: bool) -> None:
    assert names(known, "a") is is_named


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_of_two_changes_of_the_same_version_one_is_refused(token: str, chat: Conversation) -> None:
    url, headers = f"/api/v1/conversations/{chat.pk}/", {"Authorization": f"Token {token}"}
    etag = Client().get(url, headers=headers)["ETag"]
    barrier = threading.Barrier(2)

    def change(name: str) -> int:
        try:
            barrier.wait()
            return Client().post(f"{url}{name}/", headers={**headers, "If-Match": etag}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(change, ("pin", "archive"))) == [200, 412]
