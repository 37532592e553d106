"""Where answers come from, as they say themselves (`Cache-Status`, RFC 9211) and as the database sees it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from cachelayer.background import subscriber
from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Contact, Conversation, Instance, Message
from tests.cachelayer.conftest import PATIENCE, use_new
from tests.conversations.rows import a_chat, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db(transaction=True)

MISS, BYPASS = "whatsai; fwd=miss", "whatsai; fwd=bypass"
LOCAL, SHARED = "whatsai; hit; detail=local", "whatsai; hit; detail=shared"

# One member of a list of tokens with parameters (RFC 8941), those of RFC 9211 §2 that have tokens as values.
SYNTAX = re.compile(r"[A-Za-z*][\w!#$%&'*+.^`|~:/-]*((; hit)|(; fwd=(bypass|miss)))(; detail=[A-Za-z*][\w]*)?")


@pytest.fixture(autouse=True)
def cached(monkeypatch: pytest.MonkeyPatch) -> Iterator[CacheRuntime]:
    """A cache with nothing in it."""
    monkeypatch.setattr(subscriber, "TRUSTED_FOR", PATIENCE)  # for the machine may be busy
    yield use_new()
    use_new()


@pytest.fixture
def group() -> Conversation:
    """A group of an instance, with a member, messages, and one with a file."""
    group = a_group(an_instance(), name="Ana")
    contact = a_contact(group.instance, name="Ana")
    group.participants.create(contact=contact, clock="1")
    a_message(group, sender=contact)
    name = default_storage.save("1/ab/abc", BytesIO(b"file"))
    a_message(group, kind="document", media={"file": name})
    return group


Path = Callable[[Conversation], str]
PATHS: dict[str, Path] = {
    "instances": lambda _: "instances/?limit=5",
    "an instance": lambda row: f"instances/{row.instance_id}/",
    "contacts": lambda _: "contacts/",
    "contacts of an instance": lambda row: f"contacts/?instance={row.instance_id}&search=an",
    "a contact": lambda _: f"contacts/{Contact.objects.get().pk}/",
    "conversations": lambda _: "conversations/",
    "conversations of an instance": lambda row: f"conversations/?instance={row.instance_id}&unread=false&kind=group",
    "conversations that changed": lambda _: "conversations/?updated_after=2020-01-01T00:00:00Z&search=an&pinned=false",
    "a conversation": lambda row: f"conversations/{row.pk}/",
    "a conversation's messages": lambda row: f"conversations/{row.pk}/messages/?limit=1",
    "messages": lambda _: "messages/",
    "messages of an instance": lambda row: f"messages/?instance={row.instance_id}&kind=text&from_me=false",
    "a message": lambda row: f"messages/{row.messages.earliest('pk').pk}/",
    "a message's file": lambda row: f"messages/{row.messages.latest('pk').pk}/media/",
}


@contextmanager
def no_queries_of(table: str) -> Iterator[None]:
    """See that no table whose name begins so is read."""
    with CaptureQueriesContext(connection) as queries:
        yield
    assert not [query["sql"] for query in queries if f'FROM "{table}' in query["sql"]]


def status_of(api: APIClient, path: str, status: int = 200) -> str:
    answer: Any = api.get(f"/api/v1/{path}")
    assert answer.status_code == status
    if answer.streaming:
        b"".join(answer.streaming_content)
    found: str = answer["Cache-Status"]
    assert SYNTAX.fullmatch(found)
    return found


def test_each_resource_says_where_its_answer_comes_from(
    api: APIClient, group: Conversation, cached: CacheRuntime
) -> None:
    everything = ["instances", "contacts", "conversations", "messages"]
    for name, path_of in PATHS.items():
        path, found = path_of(group), []
        found.append(status_of(api, path))
        with no_queries_of("conversations_"):
            found.append(status_of(api, path))
            cached.local.invalidate(["*"])
            found.append(status_of(api, path))
            found.append(status_of(api, path))
        cached.store.begin(b"w" * 16, everything)
        found.append(status_of(api, path))
        cached.store.end(b"w" * 16, everything)
        assert found == [MISS, LOCAL, SHARED, LOCAL, BYPASS], name


def test_an_answer_is_as_good_as_the_worst_of_what_it_is_made_of(
    api: APIClient, group: Conversation, cached: CacheRuntime
) -> None:
    path = f"conversations/{group.pk}/"
    status_of(api, path)
    cached.local.invalidate(["contacts"])
    assert status_of(api, path) == SHARED
    cached.store.touch(["contacts"])
    assert status_of(api, path) == MISS
    cached.store.begin(b"w" * 16, ["contacts"])
    assert status_of(api, path) == BYPASS


def test_what_is_not_there_is_known_not_to_be(api: APIClient, cached: CacheRuntime) -> None:
    assert status_of(api, "instances/77/", 404) == MISS
    assert status_of(api, "instances/77/", 404) == LOCAL
    cached.local.invalidate(["*"])
    assert status_of(api, "instances/77/", 404) == SHARED


def test_after_a_write_an_answer_is_read_anew(api: APIClient, group: Conversation) -> None:
    for path in ("conversations/", f"conversations/{group.pk}/"):
        status_of(api, path)
        assert status_of(api, path) == LOCAL
        changed = api.post(f"/api/v1/conversations/{group.pk}/pin/")
        assert "Cache-Status" not in changed
        assert status_of(api, path) == MISS
        api.post(f"/api/v1/conversations/{group.pk}/unpin/")


def test_head_says_it_too(api: APIClient) -> None:
    assert api.head("/api/v1/instances/")["Cache-Status"] == MISS
    assert api.head("/api/v1/instances/")["Cache-Status"] == LOCAL


def test_what_was_decided_before_anything_was_read_says_nothing(api: APIClient) -> None:
    for answer in (
        api.get("/api/v1/instances/?limit=0"),
        api.get("/api/v1/instances/?cursor=x"),
        api.delete("/api/v1/instances/1/"),
        api.options("/api/v1/instances/"),
        api.get("/api/v1/nothing/"),
        APIClient().get("/api/v1/instances/"),
    ):
        assert "Cache-Status" not in answer


@pytest.mark.parametrize("model", [Instance, Contact, Conversation, Message])
def test_the_admin_finds_a_single_row_in_the_cache(group: Conversation, model: Any) -> None:
    a_chat(group.instance, contact=Contact.objects.get())
    row = model.objects.earliest("pk")
    client = Client()
    client.force_login(User.objects.create_superuser("ines"))
    url = reverse(f"admin:conversations_{model._meta.model_name}_change", args=[row.pk])  # noqa: SLF001 - documented
    assert client.get(url).status_code == 200
    with no_queries_of(f'{model._meta.db_table}"'):  # noqa: SLF001 - as above
        assert client.get(url).status_code == 200
