"""The whole demo as requests, in the order in which they are posted: the samples, then the history."""

import json
from collections.abc import Iterator
from importlib.resources import files

from conversations.demo import background_events, connection_events, delivery_order, initial_sync
from conversations.demo import conversations as chats_module
from conversations.demo.baileys import LiveChat
from conversations.demo.chat_plan import Chat
from conversations.demo.cloud import CloudChat
from conversations.demo.demo_instances import CHANNELS, SUPORTE, SUPPORT, VENDAS, DemoInstance
from conversations.demo.events import Delivery, Event, encoded
from conversations.demo.rng import rng_for

FEWEST = len(CHANNELS)


def samples() -> Iterator[Delivery]:
    """Yield every sample payload, by name."""
    for file in sorted((files("conversations.demo") / "samples").iterdir(), key=lambda file: file.name):
        body = json.loads(file.read_text("utf-8"))
        yield Delivery(f"/webhooks/evolution/{body['instance']}", encoded(body), body["instance"], body["event"])


def history(seed: int, conversations: int, messages: int) -> list[Event]:
    """Return every event of the demo's history, as it arrives.

    Args:
        seed: the same one gives the same events.
        conversations: of all instances together, at least `FEWEST`.
        messages: the average length of a conversation that began before its number was connected.
    """
    events = [
        event
        for channel, count in _shares(conversations).items()
        for event in _events(seed, channel, chats_module.build_chats(seed, channel, count, messages))
    ]
    events.sort(key=lambda event: event.at)
    return delivery_order.shuffle_and_repeat(events, rng_for(seed, "arrivals"))


def _shares(conversations: int) -> dict[DemoInstance, int]:
    """Return how many conversations each instance has; each has one."""
    support, suporte = (max(1, round(conversations * channel.share)) for channel in (SUPPORT, SUPORTE))
    return {VENDAS: max(1, conversations - support - suporte), SUPORTE: suporte, SUPPORT: support}


def _events(seed: int, channel: DemoInstance, chats: list[Chat]) -> Iterator[Event]:
    yield from connection_events.events(seed, channel)
    if not channel.is_cloud_api:
        yield from initial_sync.events(seed, channel, chats)
        yield from background_events.events(seed, channel, chats)
    for chat in chats:
        yield from CloudChat(chat).events() if channel.is_cloud_api else LiveChat(chat).events()
