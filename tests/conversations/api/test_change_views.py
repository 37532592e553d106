"""The endpoint of the changes: cursors, coalescing, filters, access, and when everything is reset."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from conversations.api import change_pages, change_views
from conversations.changes import history, log
from conversations.changes.cursor import UnknownCursor, decode, encode
from conversations.changes.following import FOLLOW, Subscription
from conversations.models import ApiToken, Change, Contact, Conversation, Membership, Message, Participant, Role
from tests.conversations.changes.reading import settle
from tests.conversations.rows import a_chat, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db(transaction=True)


class Reader:
    """Follows the changes with a token."""

    def __init__(self, user: User, **query: Any) -> None:
        self.api = APIClient(headers={"Authorization": f"Token {ApiToken.objects.issue(user)[1]}"})
        self.query = query
        self.cursor = self.ask()["cursor"]

    def ask(self, **query: Any) -> dict[str, Any]:
        settle()
        answer = self.api.get("/api/v1/changes/", {**self.query, **query})
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = answer.json()
        return found

    def read(self) -> list[tuple[str | None, str, int | None]]:
        """Return the resource, the kind and the id of all changes since the last call."""
        changes = []
        while True:
            answer = self.ask(after=self.cursor)
            self.cursor = answer["cursor"]
            changes += [(one["resource"], one["kind"], one["id"]) for one in answer["results"]]
            if not answer["has_more"]:
                return changes


@pytest.fixture
def admin() -> User:
    return User.objects.create_superuser("root")


def test_a_change_has_the_row_as_its_own_page_shows_it(admin: User) -> None:
    reader = Reader(admin)
    assert reader.ask()["results"] == []
    chat = a_chat(an_instance())
    a_message(chat)
    group = a_group(chat.instance)
    Participant.objects.create(conversation=group, contact=a_contact(group.instance), clock="1")
    answer = reader.ask(after=reader.cursor)
    assert {one["resource"] for one in answer["results"]} == set(Change.Resource.values)
    for one in answer["results"]:
        path = "conversations" if one["resource"] == "participants" else f"{one['resource']}s"
        row = reader.api.get(f"/api/v1/{path}/{one['id']}/").json()
        assert {name: row[name] for name in one["row"]} == one["row"]
        assert one["instance_id"] == row.get("instance_id", row["id"])
        assert one["kind"] == ("updated" if one["resource"] == "participants" else "created")
    shown = {one["resource"]: one["row"] for one in answer["results"]}
    assert (shown["participants"]["participant_count"], len(shown["participants"]["participants"])) == (1, 1)


def test_several_changes_of_a_row_are_one(admin: User) -> None:
    reader = Reader(admin, resource="conversation")
    chat = a_chat(an_instance())
    for name in ("Bia", "Eva"):
        Conversation.objects.filter(pk=chat.pk).update(name=name)
    answer = reader.ask(after=reader.cursor)
    assert [(one["kind"], one["row"]["name"]) for one in answer["results"]] == [("created", "Eva")]
    reader.cursor = answer["cursor"]
    gone = a_chat(chat.instance)
    pks = chat.pk, gone.pk
    chat.save()
    for row in (chat, gone):
        row.delete()
    assert sorted(reader.read()) == [("conversation", "deleted", pk) for pk in sorted(pks)]


def test_other_filters_reset_everything(admin: User) -> None:
    reader = Reader(admin, resource="conversation")
    reader.query = {}
    assert reader.read() == [(None, "reset", None)]
    assert reader.read() == []


def test_pages_follow_each_other(admin: User) -> None:
    reader = Reader(admin, limit=3)
    rows = [an_instance() for _ in range(7)]
    rows[0].save()
    assert reader.read() == [("instance", "created", row.pk) for row in rows] + [("instance", "updated", rows[0].pk)]


def test_a_reader_sees_its_instances_only(admin: User) -> None:
    own, foreign = a_chat(an_instance()), a_chat(an_instance())
    bia = User.objects.create_user("bia")
    Membership.objects.create(user=bia, instance=own.instance, role=Role.READER)
    reader, everything = Reader(bia), Reader(admin)
    selected = Reader(admin, instance=foreign.instance_id)
    for chat in (own, foreign):
        chat.save()
    assert reader.read() == [("conversation", "updated", own.pk)]
    assert everything.read() == [("conversation", "updated", row.pk) for row in (own, foreign)]
    assert selected.read() == [("conversation", "updated", foreign.pk)]
    assert Reader(bia, instance=foreign.instance_id).read() == []


def test_another_access_resets_everything() -> None:
    own, other = a_chat(an_instance()), a_chat(an_instance())
    bia = User.objects.create_user("bia")
    Membership.objects.create(user=bia, instance=own.instance, role=Role.READER)
    reader = Reader(bia)
    added = Membership.objects.create(user=bia, instance=other.instance, role=Role.READER)
    assert reader.read() == [(None, "reset", None)]
    other.save()
    assert reader.read() == [("conversation", "updated", other.pk)]
    added.delete()
    assert reader.read() == [(None, "reset", None)]
    assert reader.read() == []


def test_a_conversation_is_followed_with_its_messages(admin: User) -> None:
    chat = a_chat(an_instance())
    message, other = a_message(chat), a_chat(chat.instance)
    reader = Reader(admin, conversation=chat.pk)
    Contact.objects.filter(conversation=chat).update(name="Ana")
    for row in (message, a_message(other), chat, other):
        row.save()
    assert reader.read() == [("message", "updated", message.pk), ("conversation", "updated", chat.pk)]
    Message.objects.filter(pk=message.pk).update(conversation=other)
    assert reader.read() == [("message", "deleted", message.pk)]


# --- cursors ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cursor", ["x", "MQ", "é", "----", "MS0yLTM", "a" * 200])
def test_a_text_that_is_no_cursor_is_unknown(admin: User, cursor: str) -> None:
    answer = Reader(admin).api.get("/api/v1/changes/", {"after": cursor})
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_unknown")
    assert "after=now" in answer.json()["detail"]


def test_a_cursor_of_another_history_is_unknown(admin: User) -> None:
    reader = Reader(admin)
    assert decode(reader.cursor).history == history.current_history()
    history.only_row().delete()
    assert reader.api.get("/api/v1/changes/", {"after": reader.cursor}).status_code == 410


def test_a_cursor_beyond_the_end_is_unknown(admin: User) -> None:
    reader = Reader(admin)
    known = decode(reader.cursor)
    beyond = known._replace(position=log.Position(known.position.transaction + 10**6, known.position.id + 10**6))
    assert reader.api.get("/api/v1/changes/", {"after": encode(beyond)}).status_code == 410
    with pytest.raises(UnknownCursor):
        decode(encode(known._replace(position=log.Position(0, 2**63))))


def test_a_reader_that_is_too_late_is_reset(admin: User) -> None:
    early = Reader(admin)
    an_instance()
    late = Reader(admin)
    an_instance().save()
    Change.objects.update(at=timezone.now() - dt.timedelta(days=8))
    log.remove_old(timezone.now() - dt.timedelta(days=7))
    current = Reader(admin)
    assert [reader.read() for reader in (early, late, current)] == [[(None, "reset", None)]] * 2 + [[]]
    assert early.read() == []


def test_a_page_ends_early_when_its_rows_are_large(admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_pages, "MAX_PAGE_BYTES", 1000)
    monkeypatch.setattr(change_pages, "STEPS_AT_ONCE", 1)
    chat = a_chat(an_instance())
    reader = Reader(admin, resource="message")
    messages = [a_message(chat, text="x" * 600) for _ in range(4)]
    answer = reader.ask(after=reader.cursor)
    assert (len(answer["results"]), answer["has_more"]) == (1, True)
    assert reader.read() == [("message", "created", row.pk) for row in messages]


def test_an_answer_with_changes_is_held_back_for_a_moment(admin: User) -> None:
    """Otherwise a client that asks again after each answer keeps the server busy while rows change all the time."""
    reader = Reader(admin)
    a_contact(an_instance())
    settle()
    followed: list[Subscription] = []

    for seconds in (60, 0):
        query = {"after": reader.cursor, "wait": seconds}
        environ: dict[str, Any] = {FOLLOW: followed.append}
        answer = reader.api.get("/api/v1/changes/", query, **environ)
        assert len(answer.json()["results"]) == 2

    assert [(one.seconds, one.has_changes) for one in followed] == [(change_views.HELD_SECONDS, True)]
