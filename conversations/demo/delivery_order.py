"""Reorders and repeats events, as Evolution's deliveries do. Pure function of its input and the random generator.

Evolution does not wait for most of its requests, so they overtake each other. It retries a failed request minutes
later. It also sends some messages again, with a new `date_time` and nothing else changed.
"""

from collections.abc import Iterable, Iterator

from conversations.demo.demo_clock import MINUTE, SECOND
from conversations.demo.events import Event
from conversations.demo.rng import Random

_MAX_RACE = 400  # ms by which an event can be late and so overtaken
_RETRIED_SHARE = 0.01  # the first request failed
_RETRY_DELAYS = (5 * SECOND, 16 * SECOND, 36 * SECOND, 2 * MINUTE)
_DUPLICATED_SHARE = 0.02  # the response came too late, so the same body is sent again
_RESTAMPED_SHARE = 0.03  # sent again with a new `date_time`
_RESTAMPED_EVENTS = frozenset({"messages.upsert", "messages.update"})


def shuffle_and_repeat(events: Iterable[Event], rng: Random) -> list[Event]:
    """Return the events and their repetitions in the order of arrival."""
    arrivals = [item for event in events for item in _arrivals(event, rng)]
    return [event for _, event in sorted(arrivals, key=lambda item: item[0])]


def _arrivals(event: Event, rng: Random) -> Iterator[tuple[int, Event]]:
    """Yield the event and its repetition, if any, each with its time of arrival."""
    at = event.at + rng.randrange(_MAX_RACE)
    draw = rng.random()
    if draw < _RETRIED_SHARE:
        at += rng.choice(_RETRY_DELAYS)
    yield at, event
    if _RETRIED_SHARE <= draw < _RETRIED_SHARE + _DUPLICATED_SHARE:
        yield at + rng.choice(_RETRY_DELAYS), event.repeat(0)
    elif event.name in _RESTAMPED_EVENTS and draw > 1 - _RESTAMPED_SHARE:
        later = rng.choice((3 * SECOND, 9 * MINUTE))
        yield at + later, event.repeat(later)
