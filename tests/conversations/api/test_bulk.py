"""The change of many conversations in the API: the content, the answer, and whose conversations are changed."""

import dataclasses
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from conversations.api.bulk_bodies import BODIES, FilterBody
from conversations.api.list_params import ConversationParameters
from conversations.api.query_params import PageParameters
from conversations.models import ApiToken, Conversation, Membership, Role
from conversations.models.conversation_changes import ACTIONS
from conversations.models.conversation_filters import ConversationFilters
from tests.conversations.rows import NOON, a_chat, an_instance

pytestmark = pytest.mark.django_db
URL = "/api/v1/conversations/bulk/"
NOTHING: dict[str, Any] = {"changed": [], "unchanged": [], "refused": [], "not_found": [], "cursor": None}


def bulk(api: APIClient, action: object, filters: object = None, **body: Any) -> Any:
    return api.post(URL, {"action": action, "filter": filters or {}, **body}, format="json")


def test_a_portion_says_what_was_done_and_where_the_next_one_begins(api: APIClient) -> None:
    instance = an_instance(labels={"1": {"name": "novo"}})
    rows = [a_chat(instance, is_pinned=number == 1) for number in range(3)]
    foreign, unknown = a_chat(an_instance()), rows[0].pk + 10**6
    answer = bulk(api, "pin", {"ids": [unknown, *(row.pk for row in rows)]}, limit=2)
    assert answer.status_code == 200
    first = answer.json()
    assert first == {**NOTHING, "changed": [rows[0].pk], "unchanged": [rows[1].pk], "cursor": first["cursor"]}
    second = bulk(api, "pin", {"ids": [unknown, *(row.pk for row in rows)]}, cursor=first["cursor"]).json()
    assert second == {**NOTHING, "changed": [rows[2].pk], "not_found": [unknown]}
    labelled = bulk(api, "add_label", {"ids": [rows[0].pk, foreign.pk]}, label="1").json()
    assert labelled == {**NOTHING, "changed": [rows[0].pk], "refused": [foreign.pk]}
    muted = bulk(api, "mute", {"instance": [instance.pk], "pinned": True}, muted_until="2027-01-01T00:00:00Z").json()
    assert muted == {**NOTHING, "changed": [row.pk for row in rows]}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "plain archived pinned unread muted labelled"),
        ({"deleted": True}, "deleted"),
        ({"deleted": None}, "plain archived pinned unread muted labelled deleted"),
        ({"archived": True}, "archived"),
        ({"pinned": True, "archived": None}, "pinned"),
        ({"unread": True}, "unread"),
        ({"muted": True}, "muted"),
        ({"label": "1"}, "labelled"),
        ({"kind": "group"}, ""),
        ({"active_after": "2026-03-01T12:00:00Z"}, "unread"),
        ({"active_before": "2026-03-01T12:00:00Z", "archived": True}, "archived"),
    ],
    ids=str,
)
def test_the_filter_is_that_of_the_list(api: APIClient, filters: dict[str, Any], found: str) -> None:
    instance = an_instance()
    states: dict[str, dict[str, Any]] = {
        "plain": {},
        "archived": {"is_archived": True},
        "pinned": {"is_pinned": True},
        "unread": {"unread_count": 1, "last_message_at": NOON},
        "muted": {"muted_until": "2090-01-01T00:00:00Z"},
        "labelled": {"labels": {"1": True}},
        "deleted": {"is_deleted": True},
    }
    names = {a_chat(instance, **state).pk: name for name, state in states.items()}
    answer = bulk(api, "unmute", filters).json()
    assert {names[pk] for pk in answer["changed"] + answer["unchanged"]} == set(found.split())


def test_every_filter_of_the_list_and_every_action_can_be_sent() -> None:
    paging = PageParameters().fields.keys()
    assert FilterBody().fields.keys() == ConversationParameters().fields.keys() - paging
    assert FilterBody().fields.keys() == {field.name for field in dataclasses.fields(ConversationFilters)} | {
        "instance"
    }
    choices = [name for body in BODIES.values() for name in body().fields["action"].choices]  # type: ignore[attr-defined]
    assert sorted(choices) == sorted(ACTIONS)


@pytest.mark.parametrize(
    ("body", "name", "code"),
    [
        ({"action": "explode"}, "action", "invalid_choice"),
        ({"action": None}, "action", "null"),
        ({"action": ["pin"]}, "action", "invalid_choice"),
        ({"filter": None}, "filter", "null"),
        ({"filter": []}, "filter", "invalid"),
        ({"filter": {"archive": True}}, "filter.archive", "unknown"),
        ({"filter": {"archived": "true"}}, "filter.archived", "invalid"),
        ({"filter": {"ids": []}}, "filter.ids", "min_length"),
        ({"filter": {"ids": [1] * 201}}, "filter.ids", "max_length"),
        ({"filter": {"ids": ["1"]}}, "filter.ids.0", "invalid"),
        ({"filter": {"kind": "person"}}, "filter.kind", "invalid_choice"),
        ({"action": "mute"}, "muted_until", "required"),
        ({"action": "mute", "muted_until": None}, "muted_until", "null"),
        ({"action": "add_label"}, "label", "required"),
        ({"label": "1"}, "label", "unknown"),
        ({"cursor": "x"}, "cursor", "invalid"),
        ({"limit": 501}, "limit", "max_value"),
        ({"limits": 5}, "limits", "unknown"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named_and_nothing_is_changed(
    api: APIClient, body: dict[str, Any], name: str, code: str
) -> None:
    chat = a_chat(an_instance())
    answer = api.post(URL, {"action": "pin", "filter": {}, **body}, format="json")
    assert answer.status_code == 400
    assert (name, code) in [(error["name"], error["code"]) for error in answer.json()["errors"]]
    chat.refresh_from_db()
    assert not chat.is_pinned


def test_without_a_filter_nothing_is_changed(api: APIClient) -> None:
    bodies: list[Any] = [{"action": "pin"}, {}, []]
    answers = [api.post(URL, body, format="json") for body in bodies]
    assert [answer.status_code for answer in answers] == [400, 400, 400]


def test_conversations_that_may_not_be_changed_are_like_those_that_do_not_exist() -> None:
    own, read_only, foreign = (a_chat(an_instance()) for _ in range(3))
    user = User.objects.create_user("ana")
    for row, role in ((own, Role.AGENT), (read_only, Role.READER)):
        Membership.objects.create(user=user, instance=row.instance, role=role)
    api = APIClient(headers={"Authorization": f"Token {ApiToken.objects.issue(user)[1]}"})
    pks = [own.pk, read_only.pk, foreign.pk, foreign.pk + 10**6]
    assert bulk(api, "pin", {"ids": pks}).json() == {**NOTHING, "changed": [own.pk], "not_found": pks[1:]}
    named = {"instance": [read_only.instance_id, foreign.instance_id]}
    assert bulk(api, "pin", named).json() == NOTHING
    assert bulk(api, "archive").json() == {**NOTHING, "changed": [own.pk]}
    assert list(Conversation.objects.filter(is_pinned=True)) == [own]
    _, token = ApiToken.objects.issue(user, scopes=["read"])
    reader = APIClient(headers={"Authorization": f"Token {token}"})
    assert bulk(reader, "pin").status_code == 403


@pytest.mark.parametrize("cursor", ["0-0", "9999999999999999999-9999999999999999999", "5-1"])
def test_any_cursor_ends(api: APIClient, cursor: str) -> None:
    a_chat(an_instance())
    assert bulk(api, "pin", cursor=cursor).json() == NOTHING
