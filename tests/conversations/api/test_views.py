"""Responses of the API endpoints. `test_serializers.py` tests the fields of each row."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from cachelayer import cache
from conversations.models import Conversation, Instance, Message, Participant
from conversations.search.find import FREQUENT
from tests.conversations.api.conftest import ApiCall
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db

LISTS = ["instances/", "contacts/", "conversations/", "messages/"]
TOKEN_QUERIES = 2  # the user of the token, then both; a superuser has no memberships to read


def ids(response: Any) -> list[int]:
    return [row["id"] for row in response["results"]]


# --- single rows ------------------------------------------------------------------------------------------------------
def test_each_resource_returns_a_row_by_its_id(get: ApiCall) -> None:
    message = a_message(a_chat(an_instance()))
    chat = message.conversation
    for path, pk in (
        ("instances", chat.instance_id),
        ("contacts", chat.contact_id),
        ("conversations", chat.pk),
        ("messages", message.pk),
    ):
        assert get(f"{path}/{pk}/")["id"] == pk


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("pk", ["0", "99", str(2**63), "9" * 19, "9" * 20, "9" * 5000, "-1", "abc", "1.5", "%00", "٣"])
def test_an_unknown_id_is_not_found(get: ApiCall, path: str, pk: str) -> None:
    assert get(f"{path}{pk}/", status=404)["code"] == "not_found"


def test_an_unsupported_method_is_refused(api: APIClient) -> None:
    chat = a_chat(an_instance())
    for method in ("put", "delete"):
        assert getattr(api, method)(f"/api/v1/conversations/{chat.pk}/").status_code == 405
    assert api.post("/api/v1/conversations/").status_code == 405
    assert api.get(f"/api/v1/conversations/{chat.pk}/archive/").status_code == 405


def test_options_and_head_are_supported(api: APIClient) -> None:
    assert api.options("/api/v1/conversations/").status_code == 200
    assert api.head("/api/v1/conversations/").status_code == 200


# --- lists ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", LISTS)
def test_an_empty_list_is_a_page_without_rows(get: ApiCall, path: str) -> None:
    assert get(path) == {"next": None, "previous": None, "results": []}


def test_the_instance_parameter_selects_the_rows_of_one_instance(get: ApiCall) -> None:
    one, two = an_instance(), an_instance()
    messages = [a_message(a_chat(instance)) for instance in (one, two)]
    assert ids(get("conversations/", instance=one.pk)) == [messages[0].conversation_id]
    assert ids(get("contacts/", instance=one.pk)) == [messages[0].conversation.contact_id]
    assert ids(get("messages/", instance=two.pk)) == [messages[1].pk]
    assert ids(get("messages/")) == [messages[1].pk, messages[0].pk]
    assert get("messages/", instance=10**9)["results"] == []


def test_filters_select_rows(get: ApiCall) -> None:
    instance = an_instance()
    chat, pinned = a_chat(instance, name="Ana", unread_count=1), a_chat(instance, is_pinned=True)
    group, gone = a_group(instance), a_chat(instance, is_deleted=True)
    assert ids(get("conversations/", pinned="true")) == [pinned.pk]
    assert ids(get("conversations/", unread="true")) == [chat.pk]
    assert ids(get("conversations/", kind="group")) == [group.pk]
    assert ids(get("conversations/", deleted="true")) == [gone.pk]
    assert len(ids(get("conversations/", deleted="any"))) == 4
    assert ids(get("conversations/", ids=f"{chat.pk},{gone.pk}")) == [chat.pk]
    assert ids(get("conversations/", contact=pinned.contact_id)) == [pinned.pk]


def test_conversations_are_filtered_by_label_mute_and_activity(get: ApiCall) -> None:
    instance, now = an_instance(), timezone.now()
    day = dt.timedelta(days=1)
    first = a_chat(instance, labels={"7": True, "8": False}, last_message_at=NOON)
    second = a_chat(instance, labels={"7": False, "10": True}, last_message_at=NOON - day, muted_until=now + day)
    third = a_chat(instance, last_message_at=NOON - 2 * day, muted_until=now - day)
    for query, expected in (
        ({"label": "7"}, [first]),
        ({"label": "10"}, [second]),
        ({"label": "8"}, []),
        ({"label": 'odd"\\'}, []),
        ({"muted": "true"}, [second]),
        ({"muted": "false"}, [first, third]),
        ({"active_after": (NOON - day).isoformat()}, [first, second]),
        ({"active_before": (NOON - day).isoformat()}, [third]),
    ):
        assert ids(get("conversations/", **query)) == [chat.pk for chat in expected], query


def test_messages_are_filtered(get: ApiCall) -> None:
    chat, other = a_chat(an_instance()), a_chat(an_instance())
    first = a_message(chat, timestamp=NOON, sender=chat.contact, key_id="A1")
    second = a_message(other, timestamp=NOON + dt.timedelta(1), kind="poll", status=Message.Status.FAILED, key_id="B2")
    third = a_message(chat, timestamp=NOON + dt.timedelta(2), from_me=True, status=Message.Status.READ, key_id="C3")
    for query, expected in (
        ({"conversation": chat.pk}, [third, first]),
        ({"conversation": f"{chat.pk},{other.pk}"}, [third, second, first]),
        ({"conversation": chat.pk, "instance": other.instance_id}, []),
        ({"sender": chat.contact_id}, [first]),
        ({"key_id": "B2"}, [second]),
        ({"key_id": "B2", "instance": chat.instance_id}, []),
        ({"kind": "poll"}, [second]),
        ({"from_me": "true"}, [third]),
        ({"after": second.timestamp.isoformat()}, [third, second]),
        ({"before": second.timestamp.isoformat()}, [first]),
        ({"ids": f"{first.pk},{third.pk}"}, [third, first]),
        ({"instance": f"{chat.instance_id},{other.instance_id}"}, [third, second, first]),
    ):
        assert ids(get("messages/", **query)) == [message.pk for message in expected], query
    assert ids(get("messages/?status=failed")) == [second.pk]
    assert ids(get("messages/?status=read")) == [third.pk]


def test_the_messages_of_a_conversation_are_listed(get: ApiCall) -> None:
    instance = an_instance()
    chat, other = a_chat(instance), a_chat(instance)
    messages = [a_message(chat) for _ in range(3)]
    a_message(other)
    assert ids(get(f"conversations/{chat.pk}/messages/")) == [row.pk for row in reversed(messages)]
    assert ids(get(f"conversations/{chat.pk}/messages/", limit=1)) == [messages[-1].pk]
    get("conversations/999/messages/", status=404)
    (error,) = get(f"conversations/{chat.pk}/messages/", status=400, instance=instance.pk)["errors"]
    assert (error["name"], error["code"]) == ("instance", "unknown")


# --- pages ------------------------------------------------------------------------------------------------------------
def test_the_links_lead_through_the_whole_list_and_back(api: APIClient, get: ApiCall) -> None:
    chat = a_chat(an_instance())
    for _ in range(5):
        a_message(chat)
    pages = [get("messages/", instance=chat.instance_id, limit=2)]
    while pages[-1]["next"]:
        pages.append(api.get(pages[-1]["next"]).json())
    assert [len(page["results"]) for page in pages] == [2, 2, 1]
    assert sorted(pk for page in pages for pk in ids(page)) == sorted(Message.objects.values_list("pk", flat=True))
    assert ids(api.get(pages[0]["previous"]).json()) == []
    assert ids(api.get(pages[2]["previous"]).json()) == ids(pages[1])


def test_a_link_keeps_the_other_parameters(get: ApiCall) -> None:
    for _ in range(3):
        an_instance()
    link = get("instances/", limit=1)["next"]
    assert link.startswith("http://testserver/api/v1/instances/?")
    assert "limit=1" in link


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("cursor", ["x", "bm9uc2Vuc2U", "é", "W10", "0" * 5000])
def test_a_wrong_cursor_is_not_found(get: ApiCall, path: str, cursor: str) -> None:
    assert "cursor" in get(path, status=404, cursor=cursor)["detail"]


def test_a_cursor_of_another_list_is_not_found(api: APIClient, get: ApiCall) -> None:
    for _ in range(2):
        a_contact(an_instance())
    url = get("contacts/", limit=1)["next"].replace("/contacts/", "/instances/")
    response = api.get(url)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("query", ["limit=0", "limit=201", "colour=red", "format=xml", "limit=1&limit=2", "%00=1"])
def test_a_wrong_parameter_is_named(api: APIClient, path: str, query: str) -> None:
    response = api.get(f"/api/v1/{path}?{query}")
    wrong = [error["name"] for error in response.json()["errors"]]
    assert (response.status_code, wrong) == (400, list(QueryDict(query)))


TEXTS = [("a%00b", 400), ("%ED%A0%80", 200), ("%25_\\'", 200), ("%F0%9F%91%8D", 200)]


@pytest.mark.parametrize("path", ["conversations/?label=", "search/contacts/?q=", "search/conversations/?q="])
@pytest.mark.parametrize(("text", "status"), TEXTS)
def test_an_odd_text_causes_no_server_error(api: APIClient, path: str, text: str, status: int) -> None:
    a_chat(an_instance())
    assert api.get(f"/api/v1/{path}{text}").status_code == status


def test_the_response_is_json_for_any_accept_header(api: APIClient) -> None:
    for accept in ("text/html", "application/xml", "nonsense", "*/*; q=0"):
        response = api.get("/api/v1/instances/", headers={"Accept": accept})
        assert (response.status_code, response["Content-Type"]) == (200, "application/json")


# --- actions ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        ("archive", {"is_archived": False}, {"is_archived": True}),
        ("unarchive", {"is_archived": True}, {"is_archived": False}),
        ("pin", {"is_pinned": False}, {"is_pinned": True}),
        ("unpin", {"is_pinned": True}, {"is_pinned": False}),
        ("mark-read", {"unread_count": 3}, {"unread_count": 0}),
    ],
)
def test_an_action_returns_the_updated_conversation(
    get: ApiCall, post: ApiCall, operation: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    chat = a_chat(an_instance(), **before)
    path = f"conversations/{chat.pk}/"
    assert get(path).items() >= before.items()
    response = post(f"{path}{operation}/")
    assert response.items() >= after.items()
    assert get(path) == response == post(f"{path}{operation}/")


def test_mark_read_moves_the_read_watermark_to_the_last_message(post: ApiCall) -> None:
    chat = a_chat(an_instance(), unread_count=1, last_message_at=NOON)
    post(f"conversations/{chat.pk}/mark-read/")
    chat.refresh_from_db()
    assert chat.read_until == NOON


def test_an_action_ignores_the_request_body(api: APIClient) -> None:
    chat = a_chat(an_instance())
    for body, kind in (("{", "application/json"), ("a=1", "application/x-www-form-urlencoded"), ("\0", "text/plain")):
        assert api.post(f"/api/v1/conversations/{chat.pk}/pin/", body, content_type=kind).status_code == 200


@pytest.mark.parametrize("operation", ["mark-read", "mark-unread", "archive", "unarchive", "pin", "unpin"])
@pytest.mark.parametrize("pk", ["999", "9" * 19, "9" * 40, "abc"])
def test_an_action_on_an_unknown_conversation_is_not_found(post: ApiCall, operation: str, pk: str) -> None:
    post(f"conversations/{pk}/{operation}/", status=404)


# --- slashes, unknown routes, failures --------------------------------------------------------------------------------
def test_the_trailing_slash_is_optional(api: APIClient) -> None:
    chat = a_chat(an_instance())
    assert api.get("/api/v1/conversations").status_code == 200
    assert api.get(f"/api/v1/conversations/{chat.pk}").status_code == 200
    assert api.post(f"/api/v1/conversations/{chat.pk}/archive").json()["is_archived"]


@pytest.mark.parametrize("path", ["", "v1/", "v2/instances/", "v1/instances/1/2/", "v1/%00/"])
@pytest.mark.parametrize("debug", [True, False])
def test_an_unknown_route_returns_a_json_404(api: APIClient, settings: Any, path: str, *, debug: bool) -> None:
    settings.DEBUG = debug
    response = api.get(f"/api/{path}")
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")


# --- the number of queries --------------------------------------------------------------------------------------------
def add_conversations(instance: Instance, rows: int) -> None:
    for number in range(rows):
        contact = a_contact(instance, name=f"contact {number}")
        chat = a_chat(instance, contact=contact)
        message = a_message(chat, sender=contact, timestamp=NOON + dt.timedelta(minutes=number), quoted_key_id="3EB0")
        Conversation.objects.filter(pk=chat.pk).update(last_message=message, last_message_at=message.timestamp)


INBOX = "conversations/?expand=contact,instance&fields=id,last_message,unread_count"


def read_twice(get: ApiCall, path: str) -> tuple[list[tuple[int, int]], dict[str, Any]]:
    """Read a list of 5 and of 50 rows; return the numbers of rows and of queries of both, and a row."""
    counts: list[tuple[int, int]] = []
    found: list[Any] = []
    for rows in (5, 45):
        add_conversations(an_instance(), rows)
        cache.clear_all()
        with CaptureQueriesContext(connection) as queries:
            found = get(f"{path}&limit=200")["results"]
        counts.append((len(found), len(queries)))
    return counts, found[0]


def test_the_inbox_screen_is_one_request_with_five_queries_at_any_size(get: ApiCall) -> None:
    counts, row = read_twice(get, INBOX)
    # the page of conversations, the contacts and the instances
    assert counts == [(5, TOKEN_QUERIES + 3), (50, TOKEN_QUERIES + 3)]
    assert set(row) == {"id", "last_message", "unread_count", "contact", "instance"}
    assert row["contact"]["name"] == "contact 44"
    assert row["contact"]["picture_url"] == ""


@pytest.mark.parametrize(
    "path", ["conversations/?", "messages/?expand=conversation", "search/conversations/?q=contact"]
)
def test_the_labels_of_conversations_of_many_instances_take_one_query(get: ApiCall, path: str) -> None:
    counts = []
    for rows in (FREQUENT, 8):  # a search for rare words reads in another way
        for _ in range(rows):
            add_conversations(an_instance(labels={"1": {"name": "new"}, "2": {"deleted": True}}), 1)
        Conversation.objects.update(labels={"1": True, "2": True, "3": False})
        cache.clear_all()
        with CaptureQueriesContext(connection) as queries:
            found = get(path)["results"]
        counts.append(len(queries))
        assert [row.get("conversation", row)["labels"] for row in found] == [["1"]] * len(found)
    assert counts[0] == counts[1]


def test_messages_expand_their_sender_conversation_and_instance(get: ApiCall) -> None:
    counts, row = read_twice(get, "messages/?expand=sender,conversation,instance")
    assert counts == [(5, TOKEN_QUERIES + 4), (50, TOKEN_QUERIES + 4)]
    assert row["sender"]["id"] == row["sender_id"]
    assert row["conversation"]["id"] == row["conversation_id"]
    assert row["instance"]["id"] == row["instance_id"]
    assert "instance" not in row["sender"]


def test_a_single_row_has_the_fields_and_related_rows_that_were_asked_for(get: ApiCall) -> None:
    chat = a_chat(an_instance())
    group = a_group(chat.instance)
    row = get(f"conversations/{chat.pk}/", fields="id,name", expand="contact")
    assert (set(row), row["contact"]["id"]) == ({"id", "name", "contact"}, chat.contact_id)
    assert get(f"conversations/{group.pk}/", fields="id", expand="contact") == {"id": group.pk, "contact": None}
    for path, query, name in (
        ("conversations/", {"expand": "messages"}, "expand"),
        ("conversations/", {"fields": "id,secret"}, "fields"),
        (f"contacts/{chat.contact_id}/", {"fields": "labels"}, "fields"),
    ):
        (error,) = get(path, status=400, **query)["errors"]
        assert (error["name"], error["code"]) == (name, "unknown")


@pytest.mark.parametrize("path", LISTS)
def test_a_list_of_fifty_rows_takes_as_many_queries_as_one_of_five(get: ApiCall, path: str) -> None:
    counts = []
    for rows in (5, 45):
        add_conversations(an_instance(), rows)
        for _ in range(rows - 1 if path == "instances/" else 0):
            an_instance()
        with CaptureQueriesContext(connection) as queries:
            rows_read = get(path, limit=200)["results"]
        counts.append((len(rows_read), len(queries)))
    assert counts == [(5, TOKEN_QUERIES + 1), (50, TOKEN_QUERIES + 1)]


def test_fifty_messages_of_a_conversation_take_as_many_queries_as_five(get: ApiCall) -> None:
    chat = a_chat(an_instance())
    counts = []
    for rows in (5, 45):
        for _ in range(rows):
            a_message(chat, sender=chat.contact)
        with CaptureQueriesContext(connection) as queries:
            rows_read = get(f"conversations/{chat.pk}/messages/")["results"]
        counts.append((len(rows_read), len(queries)))
    assert counts == [(5, TOKEN_QUERIES + 2), (50, TOKEN_QUERIES + 2)]


def test_a_group_of_fifty_members_takes_as_many_queries_as_one_of_five(get: ApiCall) -> None:
    instance = an_instance()
    group = a_group(instance)
    counts = []
    for members in (5, 45):
        for _ in range(members):
            Participant.objects.create(conversation=group, contact=a_contact(instance), clock="1")
        with CaptureQueriesContext(connection) as queries:
            rows_read = get(f"conversations/{group.pk}/")["participants"]
        counts.append((len(rows_read), len(queries)))
    assert counts == [(5, TOKEN_QUERIES + 4), (50, TOKEN_QUERIES + 4)]  # group, members, their number, contacts
