"""Searches over the API: what an answer shows, its pages, its errors, and answers from the cache that follow writes."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from conversations.models import Contact, Message
from tests.conversations.api.conftest import ApiCall
from tests.conversations.rows import a_chat, a_contact, a_message, an_instance

pytestmark = pytest.mark.django_db


def test_a_message_is_shown_with_the_marked_part_of_its_text(get: ApiCall) -> None:
    row = a_message(a_chat(an_instance()), text="<b>Ação</b> do João")
    (found,) = get("search/messages/", q="joao acao")["results"]
    assert found["id"] == row.pk
    assert found["snippet"] == {"text": "<b>Ação</b> do João", "marks": [[3, 7], [15, 19]]}


def test_contacts_and_conversations_are_found_by_number(get: ApiCall) -> None:
    instance = an_instance()
    chat = a_chat(instance, contact=a_contact(instance, phone="5512900000027"))
    for writing in ("+55 (12) 90000-0027", "12 0000-0027"):
        assert [row["id"] for row in get("search/conversations/", q=writing)["results"]] == [chat.pk]
        assert [row["id"] for row in get("search/contacts/", q=writing)["results"]] == [chat.contact_id]


def test_pages_follow_each_other(get: ApiCall, api: APIClient) -> None:
    chat = a_chat(an_instance())
    rows = [a_message(chat, text="pedido") for _ in range(5)]
    page = get("search/messages/", q="pedido", limit=2)
    assert page["previous"] is None
    found = page["results"]
    while page["next"]:
        page = api.get(page["next"]).json()
        found += page["results"]
    assert [row["id"] for row in found] == [row.pk for row in reversed(rows)]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"q": ""}, 400),
        ({"q": "!?"}, 200),
        ({"q": "x" * 256}, 400),
        ({"q": "a\0b"}, 400),
        ({"q": "joao", "kind": "text"}, 400),
        ({"q": "joao", "cursor": "wrong"}, 404),
        ({"q": "'\":*|&!()\\ joao"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["contacts", "conversations", "messages"])
def test_wrong_parameters_are_refused(api: APIClient, path: str, query: dict[str, Any], status: int) -> None:
    assert api.get(f"/api/v1/search/{path}/", query).status_code == status


def test_a_text_without_letters_and_digits_finds_nothing(get: ApiCall) -> None:
    a_message(a_chat(an_instance()), text="!?")
    for what in ("contacts", "conversations", "messages"):
        assert get(f"search/{what}/", q="!?")["results"] == []


def test_an_answer_from_the_cache_follows_every_write(get: ApiCall) -> None:
    instance = an_instance()
    contact = a_contact(instance, name="Ana")
    chat = a_chat(instance, contact=contact)

    def found(what: str, query: str) -> list[int]:
        return [row["id"] for _ in range(2) for row in get(f"search/{what}/", q=query)["results"]][::2]

    assert found("messages", "pedido") == []
    row = a_message(chat, text="pedido")
    assert found("messages", "pedido") == [row.pk]
    row.text = "outra coisa"
    row.save()
    assert found("messages", "pedido") == []
    assert found("conversations", "bia") == found("contacts", "bia") == []
    Contact.objects.filter(pk=contact.pk).update(push_name="Bia")
    assert (found("conversations", "bia"), found("contacts", "bia")) == ([chat.pk], [contact.pk])
    Message.objects.filter(pk=row.pk).update(text="pedido")
    assert found("messages", "pedido") == [row.pk]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["contacts", "conversations", "messages"])
def test_a_repeated_search_is_answered_from_the_cache(api: APIClient, path: str) -> None:
    instance = an_instance()
    a_message(a_chat(instance, contact=a_contact(instance, name="João")), text="João")
    first, second = (api.get(f"/api/v1/search/{path}/", {"q": "joao"}) for _ in range(2))
    assert first.json() == second.json()
    assert second["Cache-Status"] == "whatsai; hit; detail=answer"


def test_the_counters_of_the_cache_are_shown_to_administrators_only(get: ApiCall, api: APIClient) -> None:
    content = get("cache/stats/")
    assert set(content) == {"namespaces", "events"}
    assert api.get("/api/v1/cache/stats/")["Cache-Control"] == "private, no-store"
    client = APIClient()
    client.force_login(User.objects.create_user("bia", is_staff=True))
    assert client.get("/api/v1/cache/stats/").status_code == 403
