"""Assigns a time to every request: events, repetitions, and extra requests of `storm` and `copies`. Pure functions.

The times of the requests do not depend on the responses, so that a slow server gets as many requests as a fast one.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from conversations.demo import demo_clock
from conversations.demo.demo_clock import SECOND
from conversations.demo.demo_instances import DemoInstance
from conversations.demo.events import Event
from conversations.demo.rng import Random, hexadecimal, rng_for
from tests.load.plan import Plan
from tests.load.scenario import Scenario, connection_event, is_new_message

STORM_RATE = 65  # connection states that an instance without network posts each second, as seen on a real server
_MIN_DELAY = 0.05  # the shortest delay of a delayed request, in seconds
_RESTAMPED = 0.5  # fraction of the repetitions that get new timestamps; other repetitions are identical bytes
_RESTAMP_RANGE = (1 * SECOND, 600 * SECOND)  # minimum and maximum of the ms added to timestamps
_RESTAMPED_EVENTS = frozenset({"messages.upsert", "messages.update"})


@dataclass(frozen=True)
class Post:
    """One scheduled request of the load test.

    Attributes:
        due: when to send the request, in seconds from the start of the load.
        event: the webhook event to post.
        is_on_time: whether the event is neither a repetition nor delayed by the schedule.
    """

    due: float
    event: Event
    is_on_time: bool = False


def new_message_id(post: Post) -> str | None:
    """Return the id of the chat message that a post delivers, if the schedule neither delays nor repeats it."""
    return post.event.data["key"]["id"] if post.is_on_time and is_new_message(post.event) else None


def schedule(plan: Plan, scenario: Scenario) -> list[Post]:
    """Return all requests of the load test, ordered by the time `due`."""
    posts = schedule_events(plan, scenario.events, rng_for(plan.seed, "arrivals"))
    if plan.storm:
        posts += connection_storm(plan, scenario.channels)
    if plan.copies:
        posts += duplicate_message(plan, scenario)
    return sorted(posts, key=lambda post: post.due)


def schedule_events(plan: Plan, events: Sequence[Event], rng: Random) -> list[Post]:
    """Schedule events and repetitions at an even rate; a delay changes the order of events, but not the rate."""
    positions: list[tuple[float, Event, bool]] = []
    interval = plan.seconds / max(1, len(events))
    for index, event in enumerate(events):
        delay = _draw_delay(plan, rng)
        positions.append((index * interval + delay, event, not delay))
    for _ in range(plan.posts - len(events)):
        index = rng.randrange(len(events))
        position = index * interval + rng.uniform(_MIN_DELAY, plan.max_delay) + _draw_delay(plan, rng)
        positions.append((position, _repeat(events[index], rng), False))
    positions.sort(key=lambda position: position[0])
    return [Post(index / plan.rate, event, is_on_time) for index, (_, event, is_on_time) in enumerate(positions)]


def _draw_delay(plan: Plan, rng: Random) -> float:
    return rng.uniform(_MIN_DELAY, plan.max_delay) if rng.random() < plan.disorder else 0.0


def _repeat(event: Event, rng: Random) -> Event:
    if event.name in _RESTAMPED_EVENTS and rng.random() < _RESTAMPED:
        return restamp(event, rng.randrange(*_RESTAMP_RANGE))
    return event.repeat(0)


def restamp(event: Event, added_ms: int) -> Event:
    """Return a repetition of an event with the same content and later timestamps."""
    data = copy.copy(event.data)
    if "messageTimestamp" in data:
        data["messageTimestamp"] += added_ms // SECOND
    return replace(event.repeat(added_ms), data=data)


def connection_storm(plan: Plan, channels: Iterable[DemoInstance]) -> Iterator[Post]:
    """Yield the connection states of instances that lose their network; the last state of each instance is "open"."""
    for number, channel in enumerate(channels):
        offset = number / STORM_RATE / plan.instances  # two instances must not post in the same millisecond
        for index in range(int(plan.seconds * STORM_RATE)):
            due = offset + index / STORM_RATE
            state = "close" if index % 2 else "connecting"
            yield Post(due, connection_event(channel, demo_clock.END + round(due * SECOND), state))
        end = demo_clock.END + round((plan.seconds + 1) * SECOND)
        yield Post(plan.seconds, connection_event(channel, end, "open"))


def duplicate_message(plan: Plan, scenario: Scenario) -> Iterator[Post]:
    """Yield `plan.copies` copies of one inbound chat message in random order, each copy with another timestamp."""
    rng = rng_for(plan.seed, "copies")
    chat = next(chat for chat in scenario.chats if not chat.group_jid)
    at = demo_clock.END
    record = {
        "key": {"remoteJid": chat.person.jid, "fromMe": False, "id": f"AC{hexadecimal(rng, 30)}", "participant": ""},
        "pushName": chat.person.push_name,
        "status": "DELIVERY_ACK",
        "message": {"conversation": "Sou eu de novo"},
        "messageType": "conversation",
        "messageTimestamp": at // SECOND,
        "instanceId": chat.instance.instance_id,
        "source": chat.person.source,
    }
    event = Event(at, chat.instance, "messages.upsert", record)
    order = list(range(plan.copies))
    rng.shuffle(order)
    for position, seconds in enumerate(order):
        yield Post(position * plan.seconds / plan.copies, restamp(event, seconds * SECOND))
