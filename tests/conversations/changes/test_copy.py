"""A copy and the changes give the state after every kind of write: by the API, the admin, managers and webhooks.

One reader sees all instances, and one sees some. Each mutant takes away what makes a copy right.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import reduce
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from conversations.admin.actions import NAMES as ADMIN_ACTIONS
from conversations.changes import feed, history, log
from conversations.changes.log import Position
from conversations.evolution import events
from conversations.ingest.worker.worker import Worker
from conversations.models import (
    ApiToken,
    Change,
    Contact,
    Conversation,
    Instance,
    Membership,
    Message,
    Participant,
    Role,
)
from tests.conversations.api.test_access import ROUTES, a_house, send
from tests.conversations.changes.followers import Follower, differences, follow
from tests.conversations.ingest.bodies import envelope
from tests.conversations.ingest.inboxes import NO_DELAY, store_all
from tests.conversations.rows import a_chat, a_contact, a_group, a_message, add_members, an_instance
from tests.payloads import SAMPLES, sample

pytestmark = pytest.mark.django_db(transaction=True)

SAMPLES_OF = {sample(name)["event"]: name for name in SAMPLES}


class World:
    """Two instances with rows, a reader of all, and a reader of one."""

    def __init__(self) -> None:
        self.house, self.foreign = a_house(), a_house()
        self.group = a_group(self.house.instance, labels={"1": True})
        add_members(self.group, 3)
        self.root = User.objects.create_superuser("root")
        self.bia = User.objects.create_user("bia")
        Membership.objects.create(user=self.bia, instance=self.house.instance, role=Role.READER)
        self.followers = {"all": Follower(self.root), "some": Follower(self.bia)}
        self.check("the start")

    def check(self, label: str) -> None:
        assert {name: differences(one) for name, one in self.followers.items()} == {"all": [], "some": []}, label

    @property
    def is_right(self) -> bool:
        return not any(differences(one) for one in self.followers.values())


@pytest.fixture
def world() -> World:
    return World()


# --- every kind of write ----------------------------------------------------------------------------------------------
def test_copies_are_right_after_every_request_of_the_api(world: World) -> None:
    client = APIClient(headers={"Authorization": f"Token {ApiToken.objects.issue(world.root)[1]}"})
    for method, path in ROUTES:
        if method != "get":
            for house in (world.house, world.foreign):
                send(client, method, path, house)
            world.check(f"{method} {path}")


def test_copies_are_right_after_every_action_of_the_admin(world: World, client: Client) -> None:
    client.force_login(world.root)
    url = reverse("admin:conversations_conversation_changelist")
    for name in ADMIN_ACTIONS:
        pks = [world.house.chat.pk, world.foreign.chat.pk, world.group.pk]
        assert client.post(url, {"action": name, "_selected_action": pks}).status_code == 302
        world.check(name)


def hide_label(world: World, *, is_hidden: bool) -> None:
    labels = {"1": {"name": "novo", "deleted": is_hidden}}
    Instance.objects.upsert(world.house.instance.name, labels=labels)


def merge(world: World) -> None:
    """Move a message to another conversation, and delete the one that it was in."""
    chat = a_chat(world.house.instance)
    message = a_message(chat)
    Message.objects.filter(pk=message.pk).update(conversation=world.house.chat)
    chat.delete()
    Conversation.objects.recount(world.house.chat.pk)


def add_members_again(world: World) -> None:
    Conversation.objects.filter(pk=world.group.pk).update(participants_as_of="5")
    add_members(world.group, 2, clock="6")


def in_bulk(world: World) -> None:
    rows = [Contact(instance=world.house.instance, jid=f"{n}@lid", name="Ana") for n in range(5)]
    Contact.objects.bulk_create(rows)
    Contact.objects.fast_bulk_create([Contact(instance=world.house.instance, jid=f"{n}@lid") for n in range(5, 9)])
    Contact.objects.filter(name="Ana").update(name="Eva")
    Contact.objects.filter(name="Eva").delete()


def _chat(world: World) -> Conversation:
    return world.house.chat


OPERATIONS: dict[str, Callable[[World], object]] = {
    "upsert a conversation": lambda w: Conversation.objects.upsert(w.house.instance, "5511999990001@s.whatsapp.net"),
    "upsert a group": lambda w: Conversation.objects.upsert(w.house.instance, "12036399@g.us", name="Equipe"),
    "upsert a message": lambda w: Message.objects.upsert(
        _chat(w), "3EB0", from_me=False, kind="text", text="oi", timestamp=dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    ),
    "rename a contact": lambda w: Contact.objects.rename(_chat(w).contact_id or 0, "Mari"),
    "change a conversation": lambda w: Conversation.objects.change(_chat(w).pk, is_pinned=True, custom_name="Mari"),
    "mark as read": lambda w: Conversation.objects.mark_read(_chat(w).pk),
    "mark as unread": lambda w: Conversation.objects.mark_unread(_chat(w).pk),
    "count unread": lambda w: Conversation.objects.increment_unread(_chat(w).pk),
    "recount": lambda w: Conversation.objects.recount(_chat(w).pk),
    "a label": lambda w: hide_label(w, is_hidden=False),
    "a deleted label": lambda w: hide_label(w, is_hidden=True),
    "a label that comes back": lambda w: hide_label(w, is_hidden=False),
    "a new list of members": add_members_again,
    "fewer members": lambda w: Participant.objects.filter(conversation=w.group).first().delete(),  # type: ignore[union-attr]
    "a role": lambda w: Participant.objects.filter(conversation=w.group).update(role="admin"),
    "a merge": merge,
    "bulk statements": in_bulk,
    "delete a message": lambda w: Message.objects.delete(w.house.message.pk),
    "delete a group": lambda w: w.group.delete(),
    "delete another instance": lambda w: Instance.objects.delete(w.foreign.instance.pk),
    "a new instance": lambda _: a_message(a_chat(an_instance())),
    "delete an instance": lambda w: Instance.objects.delete(w.house.instance.pk),
}


def test_copies_are_right_after_every_operation(world: World) -> None:
    for name, operation in OPERATIONS.items():
        operation(world)
        world.check(name)


# Events without a sample of their own: what they contain, and those that change nothing.
OTHER_EVENTS = (
    {**sample(SAMPLES_OF["contacts.upsert"]), "event": "contacts.set"},
    {**sample(SAMPLES_OF["groups.update"]), "event": "group.update"},
    envelope("status.instance", {"instance": "x", "status": "closed"}),
)
NO_CHANGES = {"application.startup", "error", "messaging.history.set", "typebot.change.status", "typebot.start"}


def test_copies_are_right_after_every_kind_of_webhook(world: World) -> None:
    bodies = [*(sample(name) for name in SAMPLES), *OTHER_EVENTS]
    kinds = {body["event"].replace("group-", "group.") for body in bodies}
    assert kinds | NO_CHANGES == set(events.NAMES)
    for body in bodies:
        store_all(world.house.instance, body)
        store_all(world.foreign.instance, body)
        Worker(NO_DELAY).drain()
        world.check(body["event"])


# --- readers ----------------------------------------------------------------------------------------------------------
def test_a_copy_is_right_after_a_restart(world: World, tmp_path: Path) -> None:
    follower = Follower(world.root, tmp_path / "copy.sqlite3")
    follower.catch_up()
    cursor = follower.follower.copy.cursor
    a_message(world.house.chat)
    follower.restart()
    assert follower.follower.copy.cursor == cursor
    assert differences(follower) == []
    assert follower.follower.copy.cursor != cursor


def test_a_copy_is_right_after_access_has_changed(world: World) -> None:
    added = Membership.objects.create(user=world.bia, instance=world.foreign.instance, role=Role.AGENT)
    world.check("one more instance")
    added.delete()
    world.check("one instance less")
    Membership.objects.filter(user=world.bia).delete()
    world.check("no instance")


def test_a_copy_is_right_after_a_pause_that_was_too_long(world: World) -> None:
    for row in (world.house.message, world.house.chat, world.house.instance):
        row.save()
    Change.objects.update(at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    log.remove_old(dt.datetime(2026, 2, 1, tzinfo=dt.UTC))
    world.check("a pause")


def test_a_copy_begins_anew_if_the_database_has_another_history(world: World) -> None:
    history.only_row().delete()
    Message.objects.delete(world.house.message.pk)
    world.check("a restored database")


def test_the_client_follows_over_http(world: World, live_server: Any) -> None:
    get = follow.connect(live_server.url, ApiToken.objects.issue(world.root)[1])
    follower = follow.Follower(follow.Copy(":memory:"), get)
    assert follower.step()
    world.house.message.save()
    assert follower.step() is False
    assert follower.copy.rows("message") == world.followers["all"].catch_up()["message"]
    assert get("changes/?after=x") == (410, None)


@pytest.mark.postgresql
def test_a_copy_is_right_after_a_statement_with_too_many_rows(world: World) -> None:
    contacts = [Contact(instance=world.house.instance, jid=f"{n}@lid") for n in range(10_001)]
    Contact.objects.fast_bulk_create(contacts)
    resets = Change.objects.filter(kind="reset", instance_id=world.house.instance.pk)
    assert list(resets.values_list("resource", flat=True)) == ["contact"]
    world.check("many contacts")


# --- two writers ------------------------------------------------------------------------------------------------------
Call = Callable[[Callable[[], object]], object]


@contextmanager
def a_second_writer() -> Iterator[Call]:
    """Yield a function that calls a function in another thread, which has a database connection of its own."""
    with ThreadPoolExecutor(1) as thread:
        try:
            yield lambda function: thread.submit(function).result()
        finally:
            thread.submit(connections.close_all).result()


MAX_ROWS = 2  # of one statement that are named in the log, instead of 10,000
NUMBERS = count()


class Writer:
    """Writes in a thread of its own, in one transaction after another. Its first contacts are more than `MAX_ROWS`."""

    def __init__(self, chat: Conversation, call: Call) -> None:
        self.chat, self.call = chat, call
        self.contacts = [a_contact(chat.instance) for _ in range(MAX_ROWS + 1)]
        self.atomic: Any = None

    def step(self, name: str) -> None:
        self.call(lambda: self.write(name))

    def write(self, name: str) -> None:
        if self.atomic is None:
            self.kept = list(self.contacts)
            self.atomic = transaction.atomic()
            self.atomic.__enter__()
        STEPS[name](self)

    def end(self, *, is_kept: bool) -> None:
        transaction.set_rollback(not is_kept)
        self.contacts = self.contacts if is_kept else self.kept
        self.atomic.__exit__(None, None, None)
        self.atomic = None

    def rows(self, contacts: list[Contact]) -> Any:
        return Contact.objects.filter(pk__in=[contact.pk for contact in contacts])


# What a step of a writer does to the rows of its own; a writer must not wait for the other's rows.
STEPS: dict[str, Callable[[Writer], object]] = {
    "message": lambda writer: a_message(writer.chat),
    "new contact": lambda writer: writer.contacts.append(a_contact(writer.chat.instance)),
    "rename": lambda writer: writer.rows(writer.contacts[-1:]).update(name=f"Ana {next(NUMBERS)}"),
    "delete": lambda writer: writer.contacts and writer.contacts.pop().delete(),
    "pin": lambda writer: Conversation.objects.filter(pk=writer.chat.pk).update(is_pinned=next(NUMBERS) % 2 == 0),
    "bulk": lambda writer: writer.rows(writer.contacts).update(push_name=f"Eva {next(NUMBERS)}"),
    "commit": lambda writer: writer.end(is_kept=True),
    "roll back": lambda writer: writer.end(is_kept=False),
}


def is_right_after(world: World, steps: list[tuple[int, str]]) -> bool:
    """Let two writers make steps, after each of which the readers read; return whether the copies are right then."""
    chats = [a_chat(one.instance) for one in (world.house, world.foreign)]
    with a_second_writer() as first, a_second_writer() as second:
        writers = [Writer(chat, call) for chat, call in zip(chats, (first, second), strict=True)]
        for number, name in [*steps, (0, "commit"), (1, "commit")]:
            writers[number].step(name)
            for follower in world.followers.values():
                follower.catch_up()
    return world.is_right


@contextmanager
def with_fewer_rows(**mutation: str) -> Iterator[None]:
    """Let triggers name few rows of a statement, and replace parts of the triggers' functions."""
    changes = {"10001": str(MAX_ROWS + 1), "10000": str(MAX_ROWS), **mutation}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE prosrc LIKE '%count > 10000%'")
        definitions = [definition for (definition,) in cursor.fetchall()]
        assert len(definitions) == 13
        try:
            for definition in definitions:
                cursor.execute(reduce(lambda text, change: text.replace(*change), changes.items(), definition))
            yield
        finally:
            for definition in definitions:
                cursor.execute(definition)


@pytest.mark.postgresql
def test_copies_are_right_however_two_writers_interleave(world: World) -> None:
    @settings(max_examples=10)
    @given(steps=st.lists(st.tuples(st.integers(0, 1), st.sampled_from(sorted(STEPS))), max_size=8))
    def run(steps: list[tuple[int, str]]) -> None:
        assert is_right_after(world, steps)

    with with_fewer_rows():
        run()


# --- mutants ----------------------------------------------------------------------------------------------------------
@pytest.mark.postgresql
def test_a_statement_with_too_many_rows_without_a_reset_makes_a_copy_wrong(world: World) -> None:
    steps = [(0, "bulk"), (1, "message"), (0, "commit"), (1, "commit")]
    with with_fewer_rows():
        assert is_right_after(world, steps)
    with with_fewer_rows(scopes="scopes WHERE false"):
        assert not is_right_after(world, steps)


@pytest.mark.postgresql
def test_positions_taken_before_the_commit_miss_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def greatest() -> Position:
        return Position(*Change.objects.order_by("-transaction_id", "-pk").values_list("transaction_id", "pk")[0])

    monkeypatch.setattr(log, "head", greatest)
    assert not is_right_after(world, [(0, "message"), (1, "message"), (1, "commit")])


@pytest.mark.parametrize(
    ("trigger", "table", "operation"),
    [
        ("message_update", "message", lambda w: w.house.message.save(update_fields=["text"])),
        ("conversation_delete", "conversation", lambda w: w.group.delete()),
        ("participants_update", "participant", lambda _: Participant.objects.update(role="admin")),
        ("participants_listed", "conversation", lambda _: Conversation.objects.update(participants_as_of="5")),
        ("labels", "instance", lambda w: hide_label(w, is_hidden=True)),
    ],
)
def test_a_trigger_that_is_missing_makes_a_copy_wrong(
    world: World, trigger: str, table: str, operation: Callable[[World], object]
) -> None:
    world.house.message.text = "another text"
    name = f"conversations_change_{trigger}"
    with without_trigger(name, f"conversations_{table}"):
        operation(world)
    assert not world.is_right


@contextmanager
def without_trigger(name: str, table: str) -> Iterator[None]:
    """Drop a trigger during the block."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {name}")
            created = f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"
        else:
            cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [name])
            created = cursor.fetchone()[0]
            cursor.execute(f"DROP TRIGGER {name}")
        try:
            yield
        finally:
            cursor.execute(created)


def test_without_a_reset_a_copy_is_wrong_after_access_has_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "fingerprint", lambda *_: "00000000")
    world.followers["some"].follower.start()
    assert world.is_right
    Membership.objects.create(user=world.bia, instance=world.foreign.instance, role=Role.READER)
    assert not world.is_right


def test_the_reader_of_some_instances_is_told_nothing_of_others(world: World) -> None:
    known = world.followers["some"].rows()
    assert set(known["instance"]) == {world.house.instance.pk}
    assert {row["instance_id"] for name in ("contact", "conversation", "message") for row in known[name].values()} == {
        world.house.instance.pk
    }
