"""Generates the scenario: instances, their chats, and all events in the order in which Evolution would build them.

The timestamps inside the events span hours and depend only on the seed. `schedule.py` decides when the load test posts
each event.
"""

import base64
import hashlib
import itertools
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from conversations.demo import demo_clock, script
from conversations.demo.baileys import LiveChat
from conversations.demo.chat_plan import Chat
from conversations.demo.conversation_builder import ConversationBuilder
from conversations.demo.demo_clock import HOUR, MINUTE, SECOND
from conversations.demo.demo_instances import DemoInstance
from conversations.demo.events import Event
from conversations.demo.people import Person, generate_people
from conversations.demo.rng import Random, digits, index_bytes, rng_for
from tests.load.plan import Plan

SERVER = "https://load.example.com"
MESSAGE_EVENTS = frozenset({"messages.upsert", "send.message"})
START = demo_clock.CONNECTED
_START_SPAN = 3 * HOUR  # each chat starts within this time after START
_GROUP_INTERVAL = 5  # every fifth chat is a group
_GROUP_MEMBERS = 4
_SURPLUS = 1.2  # the scenario generates 20 % more events than needed, because its last events are cut off
_SCRIPT_GAP = 10 * MINUTE  # the pause between two scripted dialogues of a chat
_MAX_SCRIPTS = 2  # the largest number of scripted dialogues in a chat
_RECONNECTS = 3  # how often each instance reconnects
_THUMBNAIL_SIZE = (600, 1000)  # minimum and maximum in bytes; JSON needs about ten characters for each byte
_FILE_SIZE = (10_000, 40_000)  # minimum and maximum in bytes
_FILE_FRACTION = 0.25  # the fraction of pictures and videos that include their file as base64
_PICTURES = frozenset({"imageMessage", "videoMessage"})


@dataclass(frozen=True)
class Scenario:
    """The instances, their chats, and the events in the order in which Evolution would build them."""

    channels: tuple[DemoInstance, ...]
    chats: tuple[Chat, ...]
    events: tuple[Event, ...]


def build_scenario(plan: Plan) -> Scenario:
    """Generate as many chats and events as the plan of the load test needs."""
    channels = tuple(build_instance(plan.seed, number) for number in range(1, plan.instances + 1))
    needed = plan.posts - plan.repetitions
    chats: list[Chat] = []
    events = [event for channel in channels for event in _connection_events(channel)]
    people = {
        channel.name: generate_people(rng_for(plan.seed, channel.name, "people"), "pt", "pt") for channel in channels
    }
    for number in itertools.count():
        if len(events) >= needed * _SURPLUS:
            break
        for channel in channels:
            chat = _build_chat(plan.seed, channel, number, people[channel.name])
            chats.append(chat)
            events += _chat_events(chat, messages_only=plan.messages_only)
    events.sort(key=lambda event: event.at)
    return Scenario(channels, tuple(chats), tuple(events[:needed]))


def build_instance(seed: int, number: int) -> DemoInstance:
    """Return the generated data of one instance; the same seed and number generate the same instance."""
    rng = rng_for(seed, "channel", number)
    return DemoInstance(
        name=f"load-{number:02d}",
        server_url=SERVER,
        instance_id=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        is_cloud_api=False,
        owner=f"55119400{number:05d}",
        owner_lid=f"{118_000_000_000_000 + number}",
        profile_name=f"Loja {number}",
        agents=(("Júlia", True), ("Caio", False)),
        topic="sale",
        languages=(("pt", 1.0),),
        region="pt",
        groups=(),
        share=0.0,
        group_share=0.0,
        connected_at=START,
    )


def _build_chat(seed: int, channel: DemoInstance, number: int, people: Iterator[Person]) -> Chat:
    rng = rng_for(seed, channel.name, "chat", number)
    if number % _GROUP_INTERVAL == _GROUP_INTERVAL // 2:
        members = tuple(itertools.islice(people, _GROUP_MEMBERS))
        chat = Chat(seed, channel, number, members, f"Entregas {number}", f"120363{digits(rng, 12)}@g.us")
        scripts = script.scripts_for("deliveries", "pt")
    else:
        chat = Chat(seed, channel, number, (next(people),), live_index=number)
        scripts = script.scripts_for(channel.topic, "pt")
    at = START + MINUTE + rng.randrange(_START_SPAN)
    for chosen in rng.sample(scripts, rng.randint(1, _MAX_SCRIPTS)):
        chat.live += ConversationBuilder(chat, chosen, rng, at).build()
        at = chat.live[-1].at + _SCRIPT_GAP
    return chat


def _chat_events(chat: Chat, *, messages_only: bool) -> Iterator[Event]:
    rng = chat.rng_for("media")
    for event in LiveChat(chat).events():
        if messages_only and not is_new_message(event):
            continue
        if event.name in MESSAGE_EVENTS:
            _add_media(event.data["message"], rng)
        yield event


def is_new_message(event: Event) -> bool:
    """Return whether an event creates a chat message, rather than a reaction to a message or a poll vote."""
    updates = ("reactionMessage", "pollUpdateMessage")
    return event.name in MESSAGE_EVENTS and not any(update in event.data["message"] for update in updates)


def _add_media(message: dict[str, Any], rng: Random) -> None:
    """Add a thumbnail of realistic size to a picture or video, and add the file itself to some of them."""
    for kind in _PICTURES & message.keys():
        message[kind]["jpegThumbnail"] = index_bytes(rng, rng.randrange(*_THUMBNAIL_SIZE))
        if rng.random() < _FILE_FRACTION:
            message["base64"] = base64.b64encode(rng.randbytes(rng.randrange(*_FILE_SIZE))).decode()


def file_digest(text: str) -> str:
    """Return the SHA-256 digest of a file that is encoded as base64."""
    return hashlib.sha256(base64.b64decode(text)).hexdigest()


# --- connection states ------------------------------------------------------------------------------------------------
def connection_event(channel: DemoInstance, at: int, state: str) -> Event:
    """Return a webhook event that reports the connection state of an instance."""
    data = {"instance": channel.name, "state": state, "statusReason": 200}
    if state == "open":
        data |= {"wuid": channel.owner_jid, "profileName": channel.profile_name, "profilePictureUrl": None}
    return Event(at, channel, "connection.update", data)


def _connection_events(channel: DemoInstance) -> Iterator[Event]:
    """Yield the events of an instance's first connection and of some reconnections."""
    rng = rng_for(channel.name, channel.instance_id, "connection")
    yield connection_event(channel, START + rng.randrange(SECOND), "open")
    for at in sorted(START + MINUTE + rng.randrange(_START_SPAN) for _ in range(_RECONNECTS)):
        yield from (connection_event(channel, at + 16 * step, "connecting") for step in range(3))
        yield connection_event(channel, at + 2 * SECOND, "open")


def address_owners(chats: Iterable[Chat]) -> dict[tuple[str, str], str]:
    """Return the owner of every address by (instance name, JID): a phone number, or the JID of a group."""
    owners: dict[tuple[str, str], str] = {}
    for chat in chats:
        for person in chat.people:
            owners |= {(chat.instance.name, jid): person.phone for jid in (person.jid, person.lid_jid)}
        if chat.group_jid:
            owners[chat.instance.name, chat.group_jid] = chat.group_jid
    return owners
