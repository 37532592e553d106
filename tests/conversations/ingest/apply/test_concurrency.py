"""When several threads apply events of one instance, no message is lost, duplicated or counted twice."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from conversations.models import Conversation, Instance, WebhookEvent
from tests.conversations.ingest.bodies import LID, PHONE, Body, text
from tests.conversations.ingest.receive import receive
from tests.conversations.ingest.row_snapshots import rows_of
from tests.payloads import SAMPLES, sample

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

THREADS = 6


def build_messages(count: int) -> list[Body]:
    """Build messages of one person under two addresses; messages with both addresses merge the two contacts."""
    forms = [{"remoteJid": PHONE}, {"remoteJid": LID}, {"remoteJid": LID, "remoteJidAlt": PHONE}]
    return [text(f"M{n}", body=str(n), at=n, key=forms[n % 3]) for n in range(count)]


def receive_in_threads(instance: Instance, bodies: list[Body]) -> None:
    def work(body: Body) -> None:
        try:
            assert receive(instance, body).outcome in ("applied", "ignored")
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, bodies))


def test_a_message_that_several_threads_apply_counts_once() -> None:
    instance = Instance.objects.create(name="concurrent")
    bodies = build_messages(30) * 3
    random.Random(3).shuffle(bodies)
    receive_in_threads(instance, bodies)
    chat = Conversation.objects.get()
    assert (chat.jid, chat.messages.count(), chat.unread_count, chat.last_message_text) == (PHONE, 30, 30, "29")


def test_applying_concurrently_gives_the_same_rows_as_applying_one_by_one() -> None:
    bodies = [sample(name) for name in SAMPLES]
    one_by_one = Instance.objects.create(name="vendas-sp-01")
    for body in bodies:
        receive(one_by_one, body)
    concurrent = Instance.objects.create(name="vendas-sp-01", server_url="https://second.example.com")
    shuffled = bodies * 2
    random.Random(5).shuffle(shuffled)
    receive_in_threads(concurrent, shuffled)
    assert rows_of(concurrent) == rows_of(one_by_one)
    events = WebhookEvent.objects.filter(instance=concurrent)
    assert not events.exclude(outcome__in=("applied", "ignored")).exists()
    assert events.count() <= len(bodies), "a repeated body has no row of its own"


def test_marking_a_conversation_read_while_messages_arrive_keeps_the_unread_count_right() -> None:
    instance = Instance.objects.create(name="concurrent")
    receive(instance, build_messages(1)[0])
    chat = Conversation.objects.get()

    def mark_read(_: int) -> None:
        try:
            Conversation.objects.mark_read(chat.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        results = pool.map(mark_read, range(20))
        receive_in_threads(instance, build_messages(40))
        list(results)
    chat = Conversation.objects.get()
    unread = chat.messages.filter(timestamp__gt=chat.read_until).count()
    assert chat.unread_count == unread
