"""The `Cache-Status` header (RFC 9211) agrees with the queries that reach the database."""

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

from cachelayer.runtime.runtime import runtime
from conversations.evolution.media_names import media_name
from conversations.models import Contact, Conversation, Instance, Message
from tests.cachelayer.conftest import cache_runtime  # noqa: F401 - a fixture
from tests.conversations.rows import a_chat, a_contact, a_group, a_message, an_instance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]

MISS, BYPASS = "whatsai; fwd=miss", "whatsai; fwd=bypass"
LOCAL, SHARED = "whatsai; hit; detail=local", "whatsai; hit; detail=shared"
ANSWER = "whatsai; hit; detail=answer"

# The header is one list member (RFC 8941): a token with parameters of RFC 9211 §2, whose values are tokens.
HEADER_PATTERN = re.compile(r"[A-Za-z*][\w!#$%&'*+.^`|~:/-]*((; hit)|(; fwd=(bypass|miss)))(; detail=[A-Za-z*][\w]*)?")


@pytest.fixture
def group() -> Conversation:
    """Create a group conversation with a member and two messages, one of which has a file."""
    group = a_group(an_instance(), name="Ana")
    contact = a_contact(group.instance, name="Ana")
    group.participants.create(contact=contact, clock="1")
    a_message(group, sender=contact)
    name = default_storage.save(media_name(group.instance_id, "ab" * 32), BytesIO(b"file"))
    a_message(group, kind="document", media={"file": name})
    return group


Path = Callable[[Conversation], str]
PATHS: dict[str, Path] = {
    "instances": lambda _: "instances/?limit=5",
    "an instance": lambda row: f"instances/{row.instance_id}/",
    "contacts": lambda _: "contacts/",
    "contacts of an instance": lambda row: f"contacts/?instance={row.instance_id}&limit=3",
    "a contact": lambda _: f"contacts/{Contact.objects.get().pk}/",
    "conversations": lambda _: "conversations/",
    "conversations of an instance": lambda row: f"conversations/?instance={row.instance_id}&unread=false&kind=group",
    "a conversation": lambda row: f"conversations/{row.pk}/",
    "a conversation's messages": lambda row: f"conversations/{row.pk}/messages/?limit=1",
    "messages": lambda _: "messages/",
    "messages of an instance": lambda row: f"messages/?instance={row.instance_id}&kind=text&from_me=false",
    "a message": lambda row: f"messages/{row.messages.earliest('pk').pk}/",
    "a message's file": lambda row: f"messages/{row.messages.latest('pk').pk}/media/",
}


@contextmanager
def no_queries_from(table_prefix: str) -> Iterator[None]:
    """Check that no query in the block reads a table whose name begins with `table_prefix`."""
    with CaptureQueriesContext(connection) as queries:
        yield
    # The rows that decide about access are read from the database.
    read = [query["sql"] for query in queries if f'FROM "{table_prefix}' in query["sql"]]
    assert not [sql for sql in read if 'FROM "conversations_apitoken"' not in sql]


def cache_status(api: APIClient, path: str, status: int = 200) -> str:
    response: Any = api.get(f"/api/v1/{path}")
    assert response.status_code == status
    if response.streaming:
        b"".join(response.streaming_content)
    header: str = response["Cache-Status"]
    assert HEADER_PATTERN.fullmatch(header)
    return header


def test_each_resource_reports_the_tier_that_served_it(api: APIClient, group: Conversation) -> None:
    tags = ["instances", "contacts", "conversations", "messages"]
    for name, path_of in PATHS.items():
        path, statuses = path_of(group), []
        statuses.append(cache_status(api, path))
        with no_queries_from("conversations_"):
            statuses.append(cache_status(api, path))
            runtime.local.invalidate(["*"])
            statuses.append(cache_status(api, path))
            statuses.append(cache_status(api, path))
            runtime.store.touch(["answers"])
            statuses.append(cache_status(api, path))
        runtime.store.begin(b"w" * 16, tags)
        statuses.append(cache_status(api, path))
        runtime.store.end(b"w" * 16, tags)
        is_file = name == "a message's file"
        hits = [LOCAL, SHARED, LOCAL, LOCAL] if is_file else [ANSWER, ANSWER, ANSWER, SHARED]
        assert statuses == [MISS, *hits, BYPASS], name


def test_the_header_reports_the_slowest_of_several_reads(api: APIClient, group: Conversation) -> None:
    path = f"conversations/{group.pk}/"
    cache_status(api, path)
    runtime.store.touch(["answers"])
    assert cache_status(api, path) == SHARED
    runtime.store.touch(["contacts"])
    assert cache_status(api, path) == MISS
    runtime.store.begin(b"w" * 16, ["contacts"])
    assert cache_status(api, path) == BYPASS


def test_a_row_that_does_not_exist_is_cached_as_absent(api: APIClient) -> None:
    assert cache_status(api, "instances/77/", 404) == MISS
    assert cache_status(api, "instances/77/", 404) == SHARED


def test_a_read_after_a_write_is_a_miss(api: APIClient, group: Conversation) -> None:
    for path in ("conversations/", f"conversations/{group.pk}/"):
        cache_status(api, path)
        assert cache_status(api, path) == ANSWER
        response = api.post(f"/api/v1/conversations/{group.pk}/pin/")
        assert "Cache-Status" not in response
        assert cache_status(api, path) == MISS
        api.post(f"/api/v1/conversations/{group.pk}/unpin/")


def test_a_head_response_has_the_header(api: APIClient) -> None:
    assert api.head("/api/v1/instances/")["Cache-Status"] == MISS
    assert api.head("/api/v1/instances/")["Cache-Status"] == ANSWER


def test_a_response_that_read_no_rows_has_no_header(api: APIClient) -> None:
    for response in (
        api.get("/api/v1/instances/?limit=0"),
        api.get("/api/v1/instances/?cursor=x"),
        api.delete("/api/v1/instances/1/"),
        api.options("/api/v1/instances/"),
        api.get("/api/v1/nothing/"),
        APIClient().get("/api/v1/instances/"),
    ):
        assert "Cache-Status" not in response


@pytest.mark.parametrize("model", [Instance, Contact, Conversation, Message])
def test_an_admin_page_reads_its_row_from_the_cache(group: Conversation, model: Any) -> None:
    a_chat(group.instance, contact=Contact.objects.get())
    row = model.objects.earliest("pk")
    client = Client()
    client.force_login(User.objects.create_superuser("ines"))
    url = reverse(f"admin:conversations_{model._meta.model_name}_change", args=[row.pk])  # noqa: SLF001 - Django documents the attribute _meta
    assert client.get(url).status_code == 200
    with no_queries_from(f'{model._meta.db_table}"'):  # noqa: SLF001 - Django documents the attribute _meta
        assert client.get(url).status_code == 200
