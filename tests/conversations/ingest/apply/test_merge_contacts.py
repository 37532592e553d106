"""Conversations of one person under two addresses are merged, and readers never see a partial merge."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import pytest
from django.db import connection

from conversations.ingest.apply import merge_contacts as merge_contacts_module
from conversations.ingest.apply.merge_contacts import merge_contacts
from conversations.ingest.worker.batch import apply_due
from conversations.models import Contact, Conversation, Instance, Message
from tests.cachelayer.conftest import cache_runtime  # noqa: F401 - pytest finds the imported fixture by name
from tests.conversations.ingest.bodies import GROUP, LID, PHONE, envelope, text
from tests.conversations.ingest.inboxes import NO_DELAY, store_all
from tests.conversations.rows import a_contact, a_group, a_message
from tests.effort import effort
from tests.waiting import TIMEOUT

MESSAGES = {
    "by LID": text("L1", LID, "pelo LID"),
    "by LID too": text("L2", LID, "de novo", at=3),
    "by number": text("P1", PHONE, "pelo número", at=1),
    "read": text("P0", PHONE, "já lida", status="READ", at=-5),
    "both": text("B1", LID, "os dois", at=2, key={"remoteJidAlt": PHONE}),
}
# Every third order is applied, and every twelfth on PostgreSQL, which is slower; with EXPLORE=all, every order.
STEP = effort(3 if connection.vendor == "sqlite" else 12, 1)


@pytest.mark.django_db
@pytest.mark.parametrize(("cuts", "every"), [((), 1), ((2,), 5), ((1, 2, 3, 4), 7)])
def test_in_every_order_one_person_has_one_conversation_with_all_messages(cuts: tuple[int, ...], every: int) -> None:
    orders = itertools.permutations(MESSAGES.values())
    for number, order in enumerate(itertools.islice(orders, 0, None, every * STEP)):
        instance = Instance.objects.create(name=f"merging-{number}")
        for start, end in itertools.pairwise((0, *cuts, len(order))):
            store_all(instance, *order[start:end])
            apply_due(instance.pk, NO_DELAY)
        (chat,) = Conversation.objects.filter(instance=instance)
        assert chat.jid == PHONE
        assert set(chat.messages.values_list("key_id", flat=True)) == {"L1", "L2", "P1", "P0", "B1"}
        assert (chat.unread_count, chat.last_message_text) == (4, "de novo")
        assert Contact.objects.filter(instance=instance).count() == 1


@pytest.mark.django_db
def test_of_many_common_messages_few_are_in_memory_together(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: WeakSet[Message] = WeakSet()
    most = 0

    def from_db(*arguments: Any) -> Message:
        nonlocal most
        alive.add(row := super(Message, Message).from_db(*arguments))
        most = max(most, len(alive))
        return row

    instance = Instance.objects.create(name="sales")
    store_all(instance, *(text(f"M{n}", jid, at=n) for n in range(20) for jid in (LID, PHONE)))
    store_all(instance, text("L", LID), text("P", PHONE, at=30))
    assert apply_due(instance.pk, NO_DELAY) == 42
    monkeypatch.setattr(merge_contacts_module, "_MAX_KEY_IDS", 3)
    monkeypatch.setattr(Message, "from_db", from_db)
    group = {"id": GROUP, "participants": [{"id": LID, "phoneNumber": PHONE, "admin": None}]}
    store_all(instance, envelope("groups.upsert", [group]))
    assert apply_due(instance.pk, NO_DELAY) == 1
    (chat,) = Conversation.objects.filter(instance=instance, kind="direct")
    assert (chat.messages.count(), chat.unread_count) == (22, 22)
    assert most <= 3 * 2 * 2


@pytest.mark.django_db
@pytest.mark.parametrize("first", ["messages", "alias"])
def test_the_alias_may_arrive_before_or_after_the_messages(first: str) -> None:
    instance = Instance.objects.create(name="sales")
    messages = [text("L1", LID), text("P1", PHONE, at=1)]
    group = {"id": GROUP, "participants": [{"id": LID, "phoneNumber": PHONE, "admin": None}]}
    alias = [envelope("groups.upsert", [group])]
    for bodies in (messages, alias) if first == "messages" else (alias, messages):
        store_all(instance, *bodies)
        apply_due(instance.pk, NO_DELAY)
    (chat,) = Conversation.objects.filter(instance=instance, kind="direct")
    assert (chat.messages.count(), chat.unread_count) == (2, 2)


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL finds a key of an object by binary search")
def test_moving_a_message_takes_as_much_work_among_many_merged_contacts_as_among_few() -> None:
    """SQLite calls a progress handler at each step of its virtual machine."""

    def steps_of_merge(pair_count: int, message_count: int) -> int:
        instance = Instance.objects.create(name=f"merging-{pair_count}-{message_count}")
        pairs = [(a_contact(instance), a_contact(instance)) for _ in range(pair_count)]
        group = a_group(instance)
        for _, removed in itertools.islice(itertools.cycle(pairs), message_count):
            a_message(group, sender=removed)
        steps = itertools.count()
        connection.connection.set_progress_handler(lambda: next(steps) < 0, 1)
        try:
            merge_contacts(instance, pairs)
        finally:
            connection.connection.set_progress_handler(None, 1)
        assert set(group.messages.values_list("sender", flat=True)) <= {kept.pk for kept, _ in pairs}
        return next(steps)

    few, many = (steps_of_merge(count, 40) - steps_of_merge(count, 0) for count in (4, 40))
    assert many == few


# --- concurrent readers -----------------------------------------------------------------------------------------------
PEOPLE = 6
MESSAGES_PER_ADDRESS = 3
TOTAL = 2 * MESSAGES_PER_ADDRESS * PEOPLE


def addresses_of(n: int) -> tuple[str, str]:
    return f"5521{980000000 + n}@s.whatsapp.net", f"{700000000000 + n}@lid"


@contextmanager
def run_readers(*reads: Any) -> Iterator[list[str]]:
    """During the block, call each function repeatedly in a thread; yield the list of the returned error texts."""
    errors: list[str] = []
    stopped = threading.Event()

    def read_repeatedly(read: Any) -> None:
        try:
            while not stopped.is_set() and not errors:
                if error := read():
                    errors.append(error)
        finally:
            connection.close()

    running = [threading.Thread(target=read_repeatedly, args=(read,)) for read in reads]
    for thread in running:
        thread.start()
    try:
        yield errors
    finally:
        stopped.set()
        for thread in running:
            thread.join(TIMEOUT)


class Reader:
    """Reads an instance's rows as the API does; each method returns an error text, or "" if the rows are correct."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._fewest = 2 * PEOPLE  # number of conversations in the previous list

    def read_conversations(self) -> str:
        """Check that the unread counts add up to TOTAL, and that merged conversations do not reappear."""
        rows = Conversation.objects.for_instance(self._instance, limit=100).rows
        unread = sum(row.unread_count for row in rows)
        if unread != TOTAL or len({row.jid for row in rows}) != len(rows) or len(rows) > self._fewest:
            return f"{unread} unread of {TOTAL}, in {len(rows)} conversations, after {self._fewest}"
        self._fewest = len(rows)
        return ""

    def read_messages(self) -> str:
        """Check that the list contains each message exactly once."""
        key_ids = [row.key_id for row in Message.objects.for_instance(self._instance, limit=100).rows]
        return (
            "" if len(key_ids) == len(set(key_ids)) == TOTAL else f"{len(set(key_ids))} of {TOTAL}, {len(key_ids)} rows"
        )

    def read_each_conversation(self) -> str:
        """Check that each conversation has all messages of one or both addresses, or none if it was just merged."""
        for row in Conversation.objects.for_instance(self._instance, limit=100).rows:
            found = Message.objects.for_conversation(row.pk, limit=100).rows
            if len(found) not in (0, MESSAGES_PER_ADDRESS, 2 * MESSAGES_PER_ADDRESS):
                return f"{len(found)} messages in one conversation"
        return ""


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("cache_runtime")
def test_no_reader_sees_a_message_twice_or_misses_one_during_a_merge() -> None:
    instance = Instance.objects.create(name="sales")
    for n in range(PEOPLE):
        store_all(
            instance,
            *[text(f"{n}-{jid[-3:]}{m}", jid, at=m) for jid in addresses_of(n) for m in range(MESSAGES_PER_ADDRESS)],
        )
    while apply_due(instance.pk, NO_DELAY):
        pass
    reader = Reader(instance)
    with run_readers(reader.read_conversations, reader.read_messages, reader.read_each_conversation) as errors:
        for n in range(PEOPLE):
            phone, lid = addresses_of(n)
            group = {"id": GROUP, "participants": [{"id": lid, "phoneNumber": phone}]}
            store_all(instance, envelope("groups.upsert", [group], f"2025-12-11T10:00:{n:02}.000Z"))
            assert apply_due(instance.pk, NO_DELAY) == 1
    assert not errors
    chats = Conversation.objects.filter(instance=instance, kind="direct")
    assert [chat.unread_count for chat in chats] == [2 * MESSAGES_PER_ADDRESS] * PEOPLE
