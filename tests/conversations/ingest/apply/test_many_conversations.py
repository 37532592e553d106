"""The messages and summaries of many conversations take as many queries as those of a few."""

from collections.abc import Iterable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations.ingest.apply import message_rows
from conversations.models import Conversation, Instance, Message
from tests.conversations.ingest.apply.orders import facts_of, new_instance
from tests.conversations.ingest.bodies import GROUP, SECOND, Body, envelope, text
from tests.conversations.ingest.receive import apply_facts

pytestmark = pytest.mark.django_db

STRANGER = "77000000000077@lid"  # no event says which phone number it belongs to
MANY = message_rows.MAX_SAME_KEY - 1


def phones(count: int) -> list[str]:
    return [f"{1000000 + n}@s.whatsapp.net" for n in range(count)]


def queries(instance: Instance, bodies: Iterable[Body]) -> int:
    """Apply webhook bodies at once, and return the number of queries."""
    facts = [fact for body in bodies for fact in facts_of(body)]
    with CaptureQueriesContext(connection) as captured:
        apply_facts(instance, facts)
    return len(captured)


def summaries(instance: Instance, kind: str = "direct") -> set[tuple[str, int, int]]:
    """Return the text of the last message, the time until which all is read, and the unread count, of all chats."""
    chats = Conversation.objects.filter(instance=instance, kind=kind)
    return {(chat.last_message_text, int(chat.read_until.timestamp()), chat.unread_count) for chat in chats}


def call(key_id: str, jid: str, **fields: object) -> Body:
    event = {"chatId": jid, "from": jid, "id": key_id, "date": "2025-12-11T13:00:00.000Z", "status": "offer"}
    return envelope("call", {**event, **fields})


def test_calls_are_moved_from_direct_chats_to_their_group() -> None:
    def work(chats: int, calls: int) -> int:
        instance, key_ids = new_instance(), [f"C{n}" for n in range(calls)]
        queries(instance, (text("M", jid) for jid in phones(chats)))
        queries(instance, (call(key_id, jid) for key_id in key_ids for jid in phones(chats)))
        found = queries(instance, (call(key_id, phones(1)[0], isGroup=True, groupJid=GROUP) for key_id in key_ids))
        rows = Message.objects.filter(instance=instance).order_by("key_id")
        assert list(rows.filter(kind="call").values_list("key_id", "conversation__jid")) == [
            (key_id, GROUP) for key_id in key_ids
        ]
        assert summaries(instance) == {("oi", 0, 1)}
        assert Conversation.objects.get(instance=instance, kind="group").last_message == rows.filter(kind="call").last()
        return found

    assert work(MANY, calls=1) == work(2, calls=4) == work(2, calls=1)
    assert work(MANY, calls=4) == work(8, calls=3)  # more rows than are read at first


@pytest.mark.django_db(transaction=True)
def test_moved_and_deleted_calls_are_in_no_cached_page() -> None:
    instance = new_instance()
    queries(instance, [text("M", GROUP, key={"participant": STRANGER}), *(call("C", jid) for jid in phones(3))])
    chats = Conversation.objects.filter(instance=instance).order_by("-kind", "pk")

    def cached() -> list[list[str]]:
        return [[row.key_id for row in Message.objects.for_conversation(chat).rows] for chat in chats]

    rows = [row.pk for row in Message.objects.filter(instance=instance, key_id="C")]
    assert cached() == [["M"], ["C"], ["C"], ["C"]]
    assert len(Message.objects.fetch_many(rows)) == 3
    queries(instance, [call("C", phones(1)[0], isGroup=True, groupJid=GROUP)])
    assert [sorted(key_ids) for key_ids in cached()] == [["C", "M"], [], [], []]
    (row,) = Message.objects.fetch_many(rows).values()
    assert row.conversation_id == chats[0].pk


def test_statuses_mark_messages_of_many_chats_as_read() -> None:
    def work(chats: int, statuses: int) -> int:
        instance = new_instance()
        queries(instance, (text(f"M{n}", jid, at=n) for jid in phones(chats) for n in range(9)))
        update = {"remoteJid": STRANGER, "fromMe": False, "status": "READ"}
        found = queries(instance, (envelope("messages.update", {**update, "keyId": f"M{n}"}) for n in range(statuses)))
        assert summaries(instance) == {("oi", SECOND + statuses - 1, 9 - statuses)}
        return found

    assert work(MANY, statuses=1) == work(2, statuses=4) == work(2, statuses=1)
    assert work(MANY, statuses=4) == work(8, statuses=3)  # more rows than are read at first


def test_earlier_copies_move_the_messages_of_many_chats() -> None:
    def work(chats: int) -> int:
        instance = new_instance()
        queries(instance, (text(key_id, jid, key_id, at=1) for jid in phones(chats) for key_id in ("A", "B")))
        found = queries(instance, (text("B", jid, "B") for jid in phones(chats)))
        assert summaries(instance) == {("A", 0, 2)}
        return found

    assert work(MANY) == work(2)
