"""When what is posted: events spread over the run, late ones, repetitions, a storm, and copies. Pure.

The schedule is kept whatever the answers are (an open loop): a slow server is not spared.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from conversations.demo import demo_clock
from conversations.demo.demo_clock import SECOND
from conversations.demo.demo_instances import DemoInstance
from conversations.demo.events import Event
from conversations.demo.rng import Random, hexadecimal, rng_for
from tests.load import scenario
from tests.load.plan import Plan
from tests.load.scenario import Scenario

STORM_RATE = 65  # states a second of each instance without network, as seen on a real server
_SOONEST = 0.05  # seconds after the original that a repetition comes
_ANEW = 0.5  # of the repetitions of a message are told anew; the others are the very same bytes
_LATER = (1 * SECOND, 600 * SECOND)  # than the original, by the host's clock, is what is told anew
_TOLD_ANEW = frozenset({"messages.upsert", "messages.update"})


@dataclass(frozen=True)
class Post:
    """One request: when, in seconds from the beginning, and what. `is_prompt` when it was not held back."""

    due: float
    event: Event
    is_prompt: bool = False


def schedule(plan: Plan, whole: Scenario) -> list[Post]:
    """Return every post of the run, in the order in which they are due."""
    posts = schedule_events(plan, whole.events, rng_for(plan.seed, "arrivals"))
    if plan.storm:
        posts += connection_storm(plan, whole.channels)
    if plan.copies:
        posts += duplicate_message(plan, whole)
    return sorted(posts, key=lambda post: post.due)


def schedule_events(plan: Plan, events: Sequence[Event], chance: Random) -> list[Post]:
    """Return events and repetitions of them at an even rate; disorder is in their order, not in their pace."""
    places: list[tuple[float, Event, bool]] = []
    pace = plan.seconds / max(1, len(events))
    for index, event in enumerate(events):
        late = _late(plan, chance)
        places.append((index * pace + late, event, not late))
    for _ in range(plan.posts - len(events)):
        index = chance.randrange(len(events))
        place = index * pace + chance.uniform(_SOONEST, plan.longest_delay) + _late(plan, chance)
        places.append((place, _again(events[index], chance), False))
    places.sort(key=lambda place: place[0])
    return [Post(number / plan.rate, event, is_prompt) for number, (_, event, is_prompt) in enumerate(places)]


def _late(plan: Plan, chance: Random) -> float:
    return chance.uniform(_SOONEST, plan.longest_delay) if chance.random() < plan.disorder else 0.0


def _again(event: Event, chance: Random) -> Event:
    if event.name in _TOLD_ANEW and chance.random() < _ANEW:
        return restamp(event, chance.randrange(*_LATER))
    return event.again(0)


def restamp(event: Event, later: int) -> Event:
    """Return the event built once more, so many ms later: its words are the same, its times are not."""
    data = copy.copy(event.data)
    if "messageTimestamp" in data:
        data["messageTimestamp"] += later // SECOND
    return replace(event.again(later), data=data)


def connection_storm(plan: Plan, channels: Iterable[DemoInstance]) -> Iterator[Post]:
    """Yield the states of instances without network, which come back at the end."""
    for number, channel in enumerate(channels):
        first = number / STORM_RATE / plan.instances  # not all in the same millisecond
        for turn in range(int(plan.seconds * STORM_RATE)):
            due = first + turn / STORM_RATE
            word = "close" if turn % 2 else "connecting"
            yield Post(due, scenario.state(channel, demo_clock.END + round(due * SECOND), word))
        yield Post(plan.seconds, scenario.state(channel, demo_clock.END + round((plan.seconds + 1) * SECOND), "open"))


def duplicate_message(plan: Plan, whole: Scenario) -> Iterator[Post]:
    """Yield one inbound message of a chat, again and again, each time stamped later; they come in no order."""
    chance = rng_for(plan.seed, "copies")
    chat = next(chat for chat in whole.chats if not chat.group_jid)
    first = demo_clock.END
    record = {
        "key": {"remoteJid": chat.person.jid, "fromMe": False, "id": f"AC{hexadecimal(chance, 30)}", "participant": ""},
        "pushName": chat.person.push_name,
        "status": "DELIVERY_ACK",
        "message": {"conversation": "Sou eu de novo"},
        "messageType": "conversation",
        "messageTimestamp": first // SECOND,
        "instanceId": chat.channel.instance_id,
        "source": chat.person.source,
    }
    event = Event(first, chat.channel, "messages.upsert", record)
    order = list(range(plan.copies))
    chance.shuffle(order)
    for place, number in enumerate(order):
        yield Post(place * plan.seconds / plan.copies, restamp(event, number * SECOND))
