"""Changes of contacts and conversations with PATCH: what may be changed, by whom, and what is refused."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from conversations.api.serializers.contact import ContactSerializer
from conversations.api.serializers.conversation import ConversationDetailSerializer
from conversations.models import ApiToken, Contact, Conversation, Instance, Membership, Role
from tests.conversations.rows import a_chat, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db

LABELS = {"1": {"name": "novo"}, "2": {"name": "pago"}, "3": {"name": "antigo", "deleted": True}}


@pytest.fixture
def instance() -> Instance:
    return an_instance(labels=LABELS)


@pytest.fixture
def chat(instance: Instance) -> Conversation:
    return a_chat(instance, contact=a_contact(instance, name="Mari", saved_name="", push_name="Mari"))


def patch(api: APIClient, row: Any, **body: Any) -> Any:
    kind = "contacts" if isinstance(row, Contact) else "conversations"
    return api.patch(f"/api/v1/{kind}/{row.pk}/", body, format="json")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"is_archived": True}, {"is_archived": True}),
        ({"is_pinned": True, "is_archived": False}, {"is_pinned": True, "is_archived": False}),
        ({"muted_until": "2027-01-01T00:00:00Z"}, {"muted_until": "2027-01-01T00:00:00Z"}),
        ({"muted_until": "2027-01-01T00:00:00-03:00"}, {"muted_until": "2027-01-01T03:00:00Z"}),
        ({"muted_until": None}, {"muted_until": None}),
        ({"labels": ["2", "1", "2"]}, {"labels": ["1", "2"]}),
        ({"labels": []}, {"labels": []}),
        ({"custom_name": " Mariana (oficina) "}, {"custom_name": "Mariana (oficina)", "name": "Mariana (oficina)"}),
        ({"custom_name": ""}, {"custom_name": None, "name": "Mari"}),
        ({"custom_name": None}, {"custom_name": None, "name": "Mari"}),
        ({}, {"name": "Mari"}),
    ],
)
def test_a_change_is_made_and_shown(
    api: APIClient, chat: Conversation, body: dict[str, Any], shown: dict[str, Any]
) -> None:
    url = f"/api/v1/conversations/{chat.pk}/"
    before = api.get(url).json()
    answer = patch(api, chat, **body)
    assert answer.status_code == 200
    assert answer.json().items() >= shown.items()
    after = api.get(url)
    assert (after.json(), after["ETag"]) == (answer.json(), answer["ETag"])
    assert answer.json().keys() == before.keys()
    changed = {name for name, value in answer.json().items() if value != before[name]}
    assert changed <= shown.keys() | {"updated_at", "label_count"}


def test_what_changes_nothing_leaves_the_version(api: APIClient, chat: Conversation) -> None:
    body = {"is_pinned": True, "labels": ["1"], "custom_name": "Mariana"}
    etags = {patch(api, chat, **body)["ETag"] for _ in range(2)}
    assert len(etags) == 1


@pytest.mark.parametrize(
    ("body", "name", "code"),
    [
        ({"name": "Ana"}, "name", "read_only"),
        ({"unread_count": 0}, "unread_count", "read_only"),
        ({"is_archive": True}, "is_archive", "unknown"),
        ({"is_archived": "true"}, "is_archived", "invalid"),
        ({"is_pinned": 1}, "is_pinned", "invalid"),
        ({"is_pinned": None}, "is_pinned", "null"),
        ({"muted_until": "tomorrow"}, "muted_until", "invalid"),
        ({"labels": ["9"]}, "labels", "unknown"),
        ({"labels": ["3"]}, "labels", "unknown"),
        ({"labels": ["1"] * 101}, "labels", "max_length"),
        ({"labels": "1"}, "labels", "not_a_list"),
        ({"labels": [1]}, "labels.0", "invalid"),
        ({"custom_name": "x" * 256}, "custom_name", "max_length"),
        ({"custom_name": "a\0b"}, "custom_name", "null_characters_not_allowed"),
        ({"custom_name": 12}, "custom_name", "invalid"),
    ],
)
def test_what_cannot_be_changed_is_named(
    api: APIClient, chat: Conversation, body: dict[str, Any], name: str, code: str
) -> None:
    answer = patch(api, chat, **{"is_archived": True, "custom_name": "Ana", **body})
    assert answer.status_code == 400
    assert [(error["name"], error["code"]) for error in answer.json()["errors"]] == [(name, code)]
    chat.refresh_from_db()
    assert (chat.is_archived, chat.custom_name) == (False, None)


@pytest.mark.parametrize(
    ("serializer", "body"),
    [(ConversationDetailSerializer, "conversation"), (ContactSerializer, "contact")],
)
def test_each_field_of_a_row_is_changed_or_refused(
    api: APIClient, chat: Conversation, serializer: Any, body: str
) -> None:
    row = chat if body == "conversation" else chat.contact
    for name in serializer.Meta.fields:
        answer = patch(api, row, **{name: [] if name == "labels" else None})
        codes = [error["code"] for error in answer.json().get("errors", ())]
        is_editable = name in ("custom_name", "muted_until", "labels")
        assert codes == ([] if is_editable else ["null"] if name in ("is_archived", "is_pinned") else ["read_only"])


def test_a_label_that_is_attached_may_stay_though_its_name_is_unknown(api: APIClient, instance: Instance) -> None:
    chat = a_chat(instance, labels={"9": True, "8": False})
    assert patch(api, chat, labels=["9", "1"]).json()["labels"] == ["1", "9"]
    assert patch(api, chat, labels=["1"]).json()["labels"] == ["1"]
    assert patch(api, chat, labels=["8"]).status_code == 400


def test_the_name_of_a_direct_conversation_is_that_of_its_contact(api: APIClient, chat: Conversation) -> None:
    contact = chat.contact
    patch(api, chat, custom_name="Mariana")
    for path in (f"contacts/{chat.contact_id}/", f"conversations/{chat.pk}/"):
        assert api.get(f"/api/v1/{path}").json()["name"] == "Mariana"
    answer = patch(api, contact, custom_name="Mari da oficina")
    assert answer.json().items() >= {"name": "Mari da oficina", "push_name": "Mari"}.items()
    for path in (f"contacts/{chat.contact_id}/", f"conversations/{chat.pk}/"):
        row = api.get(f"/api/v1/{path}").json()
        assert (row["name"], row["custom_name"]) == ("Mari da oficina", "Mari da oficina")
    patch(api, contact, custom_name=None)
    assert api.get(f"/api/v1/conversations/{chat.pk}/").json()["name"] == "Mari"


def test_a_group_has_its_own_name(api: APIClient, instance: Instance) -> None:
    group = a_group(instance, name="Vendas 2026")
    for name, shown in (("Equipe", "Equipe"), ("Time", "Time"), ("", "Vendas 2026"), (None, "Vendas 2026")):
        assert patch(api, group, custom_name=name).json()["name"] == shown


def test_searches_find_the_name_that_was_given(api: APIClient, chat: Conversation) -> None:
    group = a_group(chat.instance, name="Vendas 2026")
    paths = ("search/conversations/?q=zelia", "search/contacts/?q=zelia")
    assert [api.get(f"/api/v1/{path}").json()["results"] for path in paths] == [[], []]
    patch(api, chat, custom_name="Zélia")
    patch(api, group, custom_name="Grupo da Zélia")
    names = [sorted(row["name"] for row in api.get(f"/api/v1/{path}").json()["results"]) for path in paths]
    assert names == [["Grupo da Zélia", "Zélia"], ["Zélia"]]


def test_a_change_of_another_version_is_refused(api: APIClient, chat: Conversation) -> None:
    for url in (f"/api/v1/conversations/{chat.pk}/", f"/api/v1/contacts/{chat.contact_id}/"):
        known = api.get(url)["ETag"]
        for status in (200, 412):
            answer = api.patch(url, {"custom_name": url}, format="json", headers={"If-Match": known})
            assert answer.status_code == status


def test_a_reader_changes_nothing(chat: Conversation) -> None:
    user = User.objects.create_user("rui")
    Membership.objects.create(user=user, instance=chat.instance, role=Role.READER)
    reader = APIClient(headers={"Authorization": f"Token {ApiToken.objects.issue(user)[1]}"})
    foreign = a_chat(an_instance())
    for row in (chat, chat.contact):
        assert patch(reader, row, custom_name="x").status_code == 403
    for row in (foreign, foreign.contact):
        assert patch(reader, row, custom_name="x").status_code == 404


# --- read and unread --------------------------------------------------------------------------------------------------
def test_a_conversation_is_read_up_to_a_message(api: APIClient, chat: Conversation) -> None:
    messages = [a_message(chat) for _ in range(3)]
    Conversation.objects.recount(chat.pk)
    url = f"/api/v1/conversations/{chat.pk}/mark-read/"
    unread = [api.post(url, body, format="json").json()["unread_count"] for body in ({"until": messages[1].pk}, {})]
    assert unread == [1, 0]


@pytest.mark.parametrize("until", [0, -1, 2**63, "1", 1.5, None, True])
def test_only_the_id_of_a_message_says_up_to_where(api: APIClient, chat: Conversation, until: object) -> None:
    answer = api.post(f"/api/v1/conversations/{chat.pk}/mark-read/", {"until": until}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["name"]) == (400, "until")


def test_a_message_of_another_conversation_is_like_one_that_does_not_exist(api: APIClient, chat: Conversation) -> None:
    others = [a_message(a_chat(chat.instance)).pk, a_message(a_chat(an_instance())).pk, 10**9]
    url = f"/api/v1/conversations/{chat.pk}/mark-read/"
    answers = [api.post(url, {"until": until}, format="json") for until in others]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["detail"] for answer in answers} == {
        "The conversation has no message with the id in `until`."
    }


def test_a_conversation_marked_as_unread_is_shown_among_the_unread_ones(api: APIClient, chat: Conversation) -> None:
    url = f"/api/v1/conversations/{chat.pk}/"
    for action, is_unread in (("mark-unread", True), ("mark-unread", True), ("mark-read", False)):
        row = api.post(f"{url}{action}/").json()
        assert (row["is_marked_unread"], row["unread_count"]) == (is_unread, 0)
        found = api.get("/api/v1/conversations/?unread=true").json()["results"]
        assert [one["id"] for one in found] == ([chat.pk] if is_unread else [])
