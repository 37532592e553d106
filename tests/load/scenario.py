"""Who is there, and what happens: instances, their chats, and every event of them in the order in which it was built.

The moments are those of the story, hours long and always the same; when an event is posted is `schedule.py`'s matter.
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
BUBBLES = frozenset({"messages.upsert", "send.message"})
BEGIN = demo_clock.CONNECTED
_SPAN = 3 * HOUR  # in which chats begin
_CHATS = 5  # of which one is a group
_MEMBERS = 4
_MORE = 1.2  # than needed: the end of the story is cut off
_SILENCE = 10 * MINUTE  # between two scenes of a chat
_SCENES = 2  # of a chat, at most
_RECONNECTS = 3
_THUMBNAIL = (600, 1000)  # bytes; ten times as many characters
_FILE = (10_000, 40_000)  # bytes
_FILE_SHARE = 0.25  # of the pictures come with their file inside
_PICTURES = frozenset({"imageMessage", "videoMessage"})


@dataclass(frozen=True)
class Scenario:
    """The instances, their chats, and what happens, in the order in which it was built."""

    channels: tuple[DemoInstance, ...]
    chats: tuple[Chat, ...]
    events: tuple[Event, ...]


def build_scenario(plan: Plan) -> Scenario:
    """Return as much of a world as the plan needs."""
    channels = tuple(channel(plan.seed, number) for number in range(1, plan.instances + 1))
    wanted = plan.posts - plan.repetitions
    chats: list[Chat] = []
    events = [event for one in channels for event in _connection(one)]
    casts = {one.name: generate_people(rng_for(plan.seed, one.name, "people"), "pt", "pt") for one in channels}
    for number in itertools.count():
        if len(events) >= wanted * _MORE:
            break
        for one in channels:
            chat = _chat(plan.seed, one, number, casts[one.name])
            chats.append(chat)
            events += _told(chat, messages_only=plan.messages_only)
    events.sort(key=lambda event: event.at)
    return Scenario(channels, tuple(chats), tuple(events[:wanted]))


def channel(seed: int, number: int) -> DemoInstance:
    """Return one instance."""
    chance = rng_for(seed, "channel", number)
    return DemoInstance(
        name=f"load-{number:02d}",
        server_url=SERVER,
        instance_id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        is_cloud_api=False,
        owner=f"55119400{number:05d}",
        owner_lid=f"{118_000_000_000_000 + number}",
        profile_name=f"Loja {number}",
        agents=(("Júlia", True), ("Caio", False)),
        repertoire="sale",
        languages=(("pt", 1.0),),
        region="pt",
        groups=(),
        share=0.0,
        group_share=0.0,
        connected_at=BEGIN,
    )


def _chat(seed: int, one: DemoInstance, number: int, people: Iterator[Person]) -> Chat:
    chance = rng_for(seed, one.name, "chat", number)
    if number % _CHATS == _CHATS // 2:
        members = tuple(itertools.islice(people, _MEMBERS))
        chat = Chat(seed, one, number, members, f"Entregas {number}", f"120363{digits(chance, 12)}@g.us")
        scenes = script.scripts_for("deliveries", "pt")
    else:
        chat = Chat(seed, one, number, (next(people),), live_number=number)
        scenes = script.scripts_for(one.repertoire, "pt")
    at = BEGIN + MINUTE + chance.randrange(_SPAN)
    for scene in chance.sample(scenes, chance.randint(1, _SCENES)):
        chat.live += ConversationBuilder(chat, scene, chance, at).build()
        at = chat.live[-1].at + _SILENCE
    return chat


def _told(chat: Chat, *, messages_only: bool) -> Iterator[Event]:
    chance = chat.noise("media")
    for event in LiveChat(chat).events():
        if messages_only and not is_bubble(event):
            continue
        if event.name in BUBBLES:
            _add_bytes(event.data["message"], chance)
        yield event


def is_bubble(event: Event) -> bool:
    """Say whether an event brings a new message."""
    signals = ("reactionMessage", "pollUpdateMessage")
    return event.name in BUBBLES and not any(signal in event.data["message"] for signal in signals)


def _add_bytes(message: dict[str, Any], chance: Random) -> None:
    """Give pictures a thumbnail of the usual size, and some of them the file itself."""
    for kind in _PICTURES & message.keys():
        message[kind]["jpegThumbnail"] = index_bytes(chance, chance.randrange(*_THUMBNAIL))
        if chance.random() < _FILE_SHARE:
            message["base64"] = base64.b64encode(chance.randbytes(chance.randrange(*_FILE))).decode()


def file_digest(text: str) -> str:
    """Return the digest of a file that came as base64."""
    return hashlib.sha256(base64.b64decode(text)).hexdigest()


# --- the instances' connections ---------------------------------------------------------------------------------------
def state(one: DemoInstance, at: int, word: str) -> Event:
    """Return a connection's state as an event."""
    data = {"instance": one.name, "state": word, "statusReason": 200}
    if word == "open":
        data |= {"wuid": one.owner_jid, "profileName": one.profile_name, "profilePictureUrl": None}
    return Event(at, one, "connection.update", data)


def _connection(one: DemoInstance) -> Iterator[Event]:
    """Yield the first connection, and some that were lost and made again."""
    chance = rng_for(one.name, one.instance_id, "connection")
    yield state(one, BEGIN + chance.randrange(SECOND), "open")
    for at in sorted(BEGIN + MINUTE + chance.randrange(_SPAN) for _ in range(_RECONNECTS)):
        yield from (state(one, at + 16 * step, "connecting") for step in range(3))
        yield state(one, at + 2 * SECOND, "open")


def addresses(chats: Iterable[Chat]) -> dict[tuple[str, str], str]:
    """Return whose address each is: (instance, JID) → the phone number, or the group's JID."""
    found: dict[tuple[str, str], str] = {}
    for chat in chats:
        for person in chat.people:
            found |= {(chat.channel.name, jid): person.phone for jid in (person.jid, person.lid_jid)}
        if chat.group_jid:
            found[chat.channel.name, chat.group_jid] = chat.group_jid
    return found
