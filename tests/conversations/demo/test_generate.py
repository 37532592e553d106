import datetime as dt
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conversations.demo import demo_clock, generate
from conversations.demo.events import Delivery, Event
from tests.conversations.demo.variants import EXPECTED, records, variants

SAMPLES = Path(__file__).parents[2] / "payloads" / "samples"
NUMBERS = re.compile(r"55\d\d90000\d{4}|447700900\d{3}|1\d{3}55501\d\d")  # all phone numbers that the demo invents
OWNERS = {"5511940028922", "5521900100001"}


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return generate.history(seed=7, conversations=300, messages=25)


def digest(deliveries: list[Delivery]) -> str:
    return hashlib.sha256(b"\n".join(item.path.encode() + item.body for item in deliveries)).hexdigest()


def history(seed: int, conversations: int = 12) -> list[Delivery]:
    return [event.delivery for event in generate.history(seed, conversations, 10)]


def test_the_same_seed_gives_the_same_bytes_in_the_same_order() -> None:
    assert digest(history(7)) == digest(history(7))


def test_another_seed_gives_another_history() -> None:
    assert digest(history(7)) != digest(history(8))


def test_the_history_does_not_depend_on_pythons_hash_seed() -> None:
    program = (
        "import hashlib; from conversations.demo import generate; "
        "print(hashlib.sha256(b''.join(e.delivery.body for e in generate.history(7, 6, 5))).hexdigest())"
    )
    seen = {
        subprocess.run(  # noqa: S603 - the test runs this interpreter with a constant program
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_the_samples_are_the_tests_payloads() -> None:
    shipped = {item.body for item in generate.samples()}
    known = {
        json.dumps(json.loads(file.read_text("utf-8")), ensure_ascii=False, separators=(",", ":")).encode()
        for file in SAMPLES.glob("*.json")
    }
    assert shipped == known
    assert {item.path for item in generate.samples()} == {"/webhooks/evolution/vendas-sp-01"}


def test_the_history_has_the_requested_size(events: list[Event]) -> None:
    messages = {
        (event.instance.name, record["key"]["remoteJid"], record["key"]["id"])
        for event in events
        for record in records(event)
        if record["messageType"] not in ("reactionMessage", "pollUpdateMessage")
    }
    assert 300 * 20 < len(messages) < 300 * 30
    assert len(events) + len(list(generate.samples())) <= 2500


@pytest.mark.parametrize("conversations", [3, 4, 12, 50])
def test_each_instance_has_a_conversation_in_a_history_of_any_size(conversations: int) -> None:
    events = generate.history(7, conversations, 5)
    chats = {
        (event.instance.name, record["key"]["remoteJid"].replace("@lid", "@s.whatsapp.net"))
        for event in events
        for record in records(event)
    }
    assert {name for name, _ in chats} == {"vendas-sp-01", "suporte-rj-02", "support-en-03"}


def test_a_longer_average_gives_more_messages() -> None:
    def count(messages: int) -> int:
        return sum(len(records(event)) for event in generate.history(7, 40, messages))

    assert count(5) * 1.5 < count(25) < count(100) / 2


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_every_event_occurs_in_all_its_variants(seed: int) -> None:
    seen = {(event.name, variant) for event in generate.history(seed, 300, 25) for variant in variants(event)}
    missing = {(name, variant) for name, expected in EXPECTED.items() for variant in expected} - seen
    assert not missing
    assert {name for name, _ in seen} == set(EXPECTED)


def test_a_bodys_date_time_is_local_time_with_a_z(events: list[Event]) -> None:
    for event in events:
        if event.name == "messages.upsert" and not event.is_repetition:
            host_time = dt.datetime.fromisoformat(event.body["date_time"]).timestamp()
            late = host_time + 3 * 3600 - event.data["messageTimestamp"]
            assert 0 <= late < 2


@pytest.mark.parametrize("hours", range(0, 24, 3))
def test_nothing_is_later_than_the_end_and_some_messages_are_shortly_before(hours: int) -> None:
    end = demo_clock.END + hours * demo_clock.HOUR + 17 * demo_clock.MINUTE
    events = generate.history(7, 60, 8, end)
    times = {record["messageTimestamp"] * 1000 for event in events for record in records(event)}
    assert max(times) <= end
    assert max(event.at for event in events) <= end
    assert max(times) > end - 4 * demo_clock.HOUR
    assert min(event.instance.connected_at for event in events) < end - 9 * demo_clock.DAY


def test_a_later_end_moves_the_history_by_whole_days() -> None:
    usual, later = (generate.history(7, 12, 10, demo_clock.END + days * demo_clock.DAY) for days in (0, 9))
    assert [event.at + 9 * demo_clock.DAY for event in usual] == [event.at for event in later]


def test_message_ids_are_unique_within_an_instance(events: list[Event]) -> None:
    ids: dict[tuple[str, str], set[int]] = {}
    for event in events:
        for record in records(event):
            ids.setdefault((event.instance.name, record["key"]["id"]), set()).add(record["messageTimestamp"])
    assert all(len(times) == 1 for times in ids.values())


def test_every_phone_number_is_invented(events: list[Event]) -> None:
    text = b"".join(event.delivery.body for event in events).decode()
    numbers = set(re.findall(r"(\d+)@s\.whatsapp\.net", text))
    assert {number for number in numbers if not NUMBERS.fullmatch(number)} == OWNERS


def test_the_sender_is_present_after_the_connection_and_never_on_the_cloud_api(events: list[Event]) -> None:
    for event in events:
        has_sender = "sender" in event.body
        assert not (has_sender and event.instance.is_cloud_api)
        if event.name in ("instance.create", "qrcode.updated", "messages.upsert"):
            assert has_sender == (event.name == "messages.upsert" and not event.instance.is_cloud_api)


def test_the_url_ends_with_the_event_where_webhook_by_events_is_set(events: list[Event]) -> None:
    paths = {event.name: event.delivery.path for event in events if event.instance.webhook_by_events}
    assert paths["messages.upsert"] == "/webhooks/evolution/support-en-03/messages-upsert"
    assert {event.delivery.path for event in events if not event.instance.webhook_by_events} == {
        "/webhooks/evolution/vendas-sp-01",
        "/webhooks/evolution/suporte-rj-02",
    }
