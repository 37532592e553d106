"""Many workers apply the same instance's events at once: nothing is lost, doubled or counted twice."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from conversations.models import Conversation, Instance, WebhookEvent
from tests.conversations.ingest.row_snapshots import rows_of
from tests.conversations.ingest.receive import receive
from tests.conversations.ingest.streams import ANA, envelope
from tests.payloads import SAMPLES, sample

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

WORKERS = 6
PHONE, LID = ANA


def messages(number: int) -> list[dict[str, object]]:
    """Messages of one person under two addresses, and what tells that they are one."""
    forms = [{"remoteJid": PHONE}, {"remoteJid": LID}, {"remoteJid": LID, "remoteJidAlt": PHONE}]
    return [
        envelope(
            "messages.upsert",
            {
                "key": {"id": f"M{n}", "fromMe": False, **forms[n % 3]},
                "message": {"conversation": str(n)},
                "messageType": "conversation",
                "messageTimestamp": 1765458000 + n,
            },
        )
        for n in range(number)
    ]


def receive_in_threads(instance: Instance, bodies: list[dict[str, object]]) -> None:
    def work(body: dict[str, object]) -> None:
        try:
            assert receive(instance, body).outcome in ("applied", "ignored")
        finally:
            connection.close()

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, bodies))


def test_each_message_counts_once_however_many_workers_have_it() -> None:
    instance = Instance.objects.create(name="concurrent")
    bodies = messages(30) * 3
    random.Random(3).shuffle(bodies)
    receive_in_threads(instance, bodies)
    chat = Conversation.objects.get()
    assert (chat.jid, chat.messages.count(), chat.unread_count, chat.last_message_text) == (PHONE, 30, 30, "29")


def test_at_once_or_one_by_one_the_rows_are_the_same() -> None:
    bodies = [sample(name) for name in SAMPLES]
    one_by_one = Instance.objects.create(name="vendas-sp-01")
    for body in bodies:
        receive(one_by_one, body)
    at_once = Instance.objects.create(name="vendas-sp-01", server_url="https://second.example.com")
    shuffled = bodies * 2
    random.Random(5).shuffle(shuffled)
    receive_in_threads(at_once, shuffled)
    assert rows_of(at_once) == rows_of(one_by_one)
    assert WebhookEvent.objects.filter(instance=at_once).count() == len(bodies)


def test_marking_read_while_messages_come_never_loses_one() -> None:
    instance = Instance.objects.create(name="concurrent")
    receive(instance, messages(1)[0])
    chat = Conversation.objects.get()

    def read(_: int) -> None:
        try:
            Conversation.objects.mark_read(chat.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        reading = pool.map(read, range(20))
        receive_in_threads(instance, messages(40))
        list(reading)
    chat = Conversation.objects.get()
    after = chat.messages.filter(timestamp__gt=chat.read_until).count()
    assert chat.unread_count == after
