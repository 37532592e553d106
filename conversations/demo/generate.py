"""Generates all webhook requests of the demo: first the sample payloads, then the generated events."""

import json
from collections.abc import Iterator
from importlib.resources import files

from conversations.demo import background_events, connection_events, demo_clock, initial_sync
from conversations.demo.baileys import LiveChat
from conversations.demo.chats import build_chats
from conversations.demo.cloud import CloudChat
from conversations.demo.delivery_order import shuffle_and_repeat
from conversations.demo.demo_instances import INSTANCES, SALES_SP, SUPPORT_CLOUD, SUPPORT_RJ, DemoInstance
from conversations.demo.events import Delivery, Event, encode
from conversations.demo.media.attach import attach
from conversations.demo.rng import rng_for

MIN_CONVERSATIONS = len(INSTANCES)


def samples() -> Iterator[Delivery]:
    """Yield a request for every sample payload, sorted by file name."""
    for file in sorted((files("conversations.demo") / "samples").iterdir(), key=lambda file: file.name):
        body = json.loads(file.read_text("utf-8"))
        yield Delivery(f"/webhooks/evolution/{body['instance']}", encode(body), body["instance"], body["event"])


def history(seed: int, conversations: int, messages: int, end: int = demo_clock.END) -> list[Event]:
    """Return all generated events of the demo in the order of arrival.

    Args:
        seed: the same seed gives the same events.
        conversations: number of conversations of all instances together, at least `MIN_CONVERSATIONS`.
        messages: average number of messages of a conversation that began before its number was connected.
        end: the moment of the last events; nothing is later.
    """
    events = [
        event
        for instance, count in _conversation_counts(conversations).items()
        for event in _events(seed, instance.ending(end), count, messages)
    ]
    for event in events:
        _add_media(event)
    events.sort(key=lambda event: event.at)
    arrivals = shuffle_and_repeat(events, rng_for(seed, "arrivals"))
    return [event for event in arrivals if event.at <= end]


def _conversation_counts(total: int) -> dict[DemoInstance, int]:
    """Return the number of conversations of each instance, at least one."""
    cloud, rj = (max(1, round(total * instance.share)) for instance in (SUPPORT_CLOUD, SUPPORT_RJ))
    return {SALES_SP: max(1, total - cloud - rj), SUPPORT_RJ: rj, SUPPORT_CLOUD: cloud}


def _events(seed: int, instance: DemoInstance, conversations: int, messages: int) -> Iterator[Event]:
    chats = build_chats(seed, instance, conversations, messages)
    yield from connection_events.events(seed, instance)
    if not instance.is_cloud_api:
        yield from initial_sync.events(seed, instance, chats)
        yield from background_events.events(seed, instance, chats)
    for chat in chats:
        yield from CloudChat(chat).events() if instance.is_cloud_api else LiveChat(chat).events()


def _add_media(event: Event) -> None:
    """Add files to new messages, and thumbnails to past ones, whose files Evolution does not load."""
    topic = event.instance.topic
    if event.name == "messages.set":
        for record in event.data:
            attach(record, topic, has_file=False)
    elif event.name in ("messages.upsert", "send.message"):
        attach(event.data, topic, has_file=True)
