"""The thread that delivers: real threads, connections and wake-ups; and a copy that deliveries keep right."""

import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User

from conversations.api.outgoing_pages import OutgoingPages
from conversations.models import DeliveryAttempt, WebhookSubscription
from conversations.webhooks_out.deliverer import Deliverer
from tests.conversations.changes.followers import EXAMPLE, Follower, differences
from tests.conversations.changes.test_copy import OPERATIONS, World
from tests.conversations.rows import a_contact, an_instance
from tests.conversations.webhooks_out.delivery import a_webhook, deliver, make_due
from tests.conversations.webhooks_out.receiver import Receiver, a_receiver, status
from tests.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def private(settings: LazySettings) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True


@pytest.fixture
def receivers() -> Iterator[list[Receiver]]:
    with a_receiver() as one, a_receiver() as other:
        yield [one, other]


@contextmanager
def running(count: int = 1) -> Iterator[None]:
    """Run deliverers in threads until the block ends."""
    deliverers = [Deliverer(OutgoingPages()) for _ in range(count)]
    threads = [threading.Thread(target=one.run) for one in deliverers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for one in deliverers:
            one.stop()
        for thread in threads:
            thread.join(TIMEOUT)
        assert not any(thread.is_alive() for thread in threads)


# --- threads ----------------------------------------------------------------------------------------------------------
@pytest.mark.postgresql
def test_a_dead_receiver_delays_no_other(receivers: list[Receiver]) -> None:
    dead, live = receivers
    may_answer = threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        may_answer.wait(TIMEOUT)
        status(204)(handler)

    root, instance = User.objects.create_superuser("root"), an_instance()
    a_webhook(root, dead), a_webhook(root, live)
    dead.answers = [hang]
    with running():
        a_contact(instance)
        assert dead.has_received.acquire(timeout=TIMEOUT)
        for _ in range(3):  # while the dead receiver hangs
            assert live.has_received.acquire(timeout=TIMEOUT)
            a_contact(instance)
        may_answer.set()

    assert len(dead.received) >= 1


@pytest.mark.postgresql
def test_several_workers_deliver_each_change_once_and_in_order(receivers: list[Receiver]) -> None:
    receiver, _ = receivers
    root, instance = User.objects.create_superuser("root"), an_instance()
    row = a_webhook(root, receiver)
    with running(3):
        pks = [a_contact(instance).pk for _ in range(30)]

        def is_complete() -> bool:
            return sum(len(one.content["data"]["results"]) for one in receiver.received) >= len(pks)

        wait_until(is_complete)
        wait_until(lambda: DeliveryAttempt.objects.count() == len(receiver.received))

    received = [change["id"] for one in receiver.received for change in one.content["data"]["results"]]
    assert received == pks
    row.refresh_from_db()
    assert (row.claimed_by, row.claimed_until) == ("", None)


# --- a copy -----------------------------------------------------------------------------------------------------------
def load_receive() -> Any:
    """Load `docs/examples/receive.py`, which imports `follow.py` beside it."""
    spec = importlib.util.spec_from_file_location("receive", EXAMPLE.with_name("receive.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = path
        sys.modules.pop("follow", None)
    return module


receive = load_receive()


class Copy(Follower):
    """A copy that deliveries keep right; the first answer of each four is lost after the changes are stored."""

    def __init__(self, user: User, receiver: Receiver) -> None:
        super().__init__(user)
        self.webhook = a_webhook(user, receiver)
        self.follower.start()
        self.receiver = receiver
        self.applied = 0
        self.example = receive.Receiver(self.follower, self.webhook.secret)

    def catch_up(self) -> dict[str, dict[int, Any]]:
        """Deliver, apply what has arrived, and return the copy."""
        self.receiver.answers = [status(500)] if self.applied % 4 == 0 else []
        make_due(self.webhook)
        deliver(self.webhook)
        make_due(self.webhook)
        deliver(self.webhook)
        for one in self.receiver.received[self.applied :]:
            assert self.example.receive(one.headers, one.body) == 204
        self.applied = len(self.receiver.received)
        return self.rows()


def test_a_copy_is_right_after_every_operation(receivers: list[Receiver]) -> None:
    world = World()
    copies = {"all": Copy(world.root, receivers[0]), "some": Copy(world.bia, receivers[1])}
    for name, operation in OPERATIONS.items():
        operation(world)
        assert {whose: differences(copy) for whose, copy in copies.items()} == {"all": [], "some": []}, name


def test_a_delivery_that_arrives_after_its_repetition_changes_nothing(receivers: list[Receiver]) -> None:
    receiver, _ = receivers
    copy = Copy(User.objects.create_superuser("root"), receiver)
    contact = a_contact(an_instance(), push_name="Ana")
    receiver.answers = [status(500)]
    deliver(copy.webhook)
    late = receiver.received.pop()
    contact.push_name = "Eva"
    contact.save()
    assert differences(copy) == []

    assert copy.example.receive(late.headers, late.body) == 204

    assert differences(copy) == []


def test_the_example_refuses_what_is_not_genuine(receivers: list[Receiver]) -> None:
    receiver, _ = receivers
    row = a_webhook(User.objects.create_superuser("root"), receiver)
    WebhookSubscription.objects.update(test_requested=True)
    deliver(row)
    (one,) = receiver.received
    now = int(one.headers["webhook-timestamp"])

    assert receive.is_genuine(row.secret, one.headers, one.body, now)
    assert not receive.is_genuine(row.secret, one.headers, one.body + b" ", now)
    assert not receive.is_genuine(row.secret, one.headers, one.body, now + 301)
    assert not receive.is_genuine(row.secret, {**one.headers, "webhook-id": "msg_2"}, one.body, now)
    assert not receive.is_genuine("whsec_" + "A" * 32, one.headers, one.body, now)
    assert not receive.is_genuine(row.secret, {}, one.body, now)
