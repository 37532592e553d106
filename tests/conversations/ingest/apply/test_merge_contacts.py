"""The halves of a person's conversation meet, by way of the inbox: in any order, and seen by no reader half way."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from conversations.ingest.worker.batch import apply_due
from conversations.models import Contact, Conversation, Instance, Message
from tests.cachelayer.conftest import cached, quick  # noqa: F401 - fixtures
from tests.conversations.ingest.inboxes import NO_DELAY, LID, PHONE, store_all, text
from tests.conversations.ingest.processes import TIMEOUT_SECONDS
from tests.conversations.ingest.streams import envelope

HALVES = {
    "by LID": text("L1", LID, "pelo LID"),
    "by LID too": text("L2", LID, "de novo", at=3),
    "by number": text("P1", PHONE, "pelo número", at=1),
    "read": text("P0", PHONE, "já lida", status="READ", at=-5),
    "both": text("B1", LID, "os dois", at=2, key={"remoteJidAlt": PHONE}),
}
SPARED = 1 if connection.vendor == "sqlite" else 4  # orders of which one is tried: on a server each takes long


@pytest.mark.django_db
@pytest.mark.parametrize(("cuts", "every"), [((), 1), ((2,), 5), ((1, 2, 3, 4), 7)])
def test_in_every_order_one_person_has_one_conversation_with_everything(cuts: tuple[int, ...], every: int) -> None:
    orders = itertools.permutations(HALVES.values())
    for number, order in enumerate(itertools.islice(orders, 0, None, every * SPARED)):
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
@pytest.mark.parametrize("first", ["messages", "alias"])
def test_whether_the_pair_is_known_before_or_after_the_messages(first: str) -> None:
    instance = Instance.objects.create(name="sales")
    messages = [text("L1", LID), text("P1", PHONE, at=1)]
    group = {"id": "120363041785296310@g.us", "participants": [{"id": LID, "phoneNumber": PHONE, "admin": None}]}
    alias = [envelope("groups.upsert", [group])]
    for bodies in (messages, alias) if first == "messages" else (alias, messages):
        store_all(instance, *bodies)
        apply_due(instance.pk, NO_DELAY)
    (chat,) = Conversation.objects.filter(instance=instance, kind="direct")
    assert (chat.messages.count(), chat.unread_count) == (2, 2)


# --- what a reader sees meanwhile -------------------------------------------------------------------------------------
PEOPLE = 6
EACH = 3  # messages of each half
TOTAL = 2 * EACH * PEOPLE


def person(n: int) -> tuple[str, str]:
    return f"5521{980000000 + n}@s.whatsapp.net", f"{700000000000 + n}@lid"


@contextmanager
def readers(*reads: Any) -> Iterator[list[str]]:
    """Read again and again, each in a thread; yield what they found wrong."""
    wrong: list[str] = []
    stopped = threading.Event()

    def read_on(read: Any) -> None:
        try:
            while not stopped.is_set() and not wrong:
                if found := read():
                    wrong.append(found)
        finally:
            connection.close()

    running = [threading.Thread(target=read_on, args=(read,)) for read in reads]
    for thread in running:
        thread.start()
    try:
        yield wrong
    finally:
        stopped.set()
        for thread in running:
            thread.join(TIMEOUT_SECONDS)


class Reader:
    """What a consumer reads of one instance, and what is wrong with it. All messages are unread."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._least = 2 * PEOPLE  # conversations seen

    def chats(self) -> str:
        """However the halves stand, the list's counts add up; and halves that have met never come back."""
        rows = Conversation.objects.for_instance(self._instance, limit=100).rows
        unread = sum(row.unread_count for row in rows)
        if unread != TOTAL or len({row.jid for row in rows}) != len(rows) or len(rows) > self._least:
            return f"{unread} unread of {TOTAL}, in {len(rows)} conversations, after {self._least}"
        self._least = len(rows)
        return ""

    def messages(self) -> str:
        """Each message is there once."""
        names = [row.key_id for row in Message.objects.for_instance(self._instance, limit=100).rows]
        return "" if len(names) == len(set(names)) == TOTAL else f"{len(set(names))} of {TOTAL}, {len(names)} rows"

    def threads(self) -> str:
        """A conversation has one half or both; none, if it has gone since the list was read."""
        for row in Conversation.objects.for_instance(self._instance, limit=100).rows:
            found = Message.objects.for_conversation(row.pk, limit=100).rows
            if len(found) not in (0, EACH, 2 * EACH):
                return f"{len(found)} messages in one conversation"
        return ""


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("cached")
def test_no_reader_sees_a_half_twice_or_not_at_all_while_they_meet() -> None:
    instance = Instance.objects.create(name="sales")
    for n in range(PEOPLE):
        store_all(instance, *[text(f"{n}-{jid[-3:]}{m}", jid, at=m) for jid in person(n) for m in range(EACH)])
    while apply_due(instance.pk, NO_DELAY):
        pass
    reader = Reader(instance)
    with readers(reader.chats, reader.messages, reader.threads) as wrong:
        for n in range(PEOPLE):
            phone, lid = person(n)
            group = {"id": "120363041785296310@g.us", "participants": [{"id": lid, "phoneNumber": phone}]}
            store_all(instance, envelope("groups.upsert", [group], f"2025-12-11T10:00:{n:02}.000Z"))
            assert apply_due(instance.pk, NO_DELAY) == 1
    assert not wrong
    chats = Conversation.objects.filter(instance=instance, kind="direct")
    assert [chat.unread_count for chat in chats] == [2 * EACH] * PEOPLE
