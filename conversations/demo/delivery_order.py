"""Reorders and repeats webhook events in the way in which Evolution delivers them.

Evolution sends most requests without waiting for earlier responses, so requests overtake each other. Evolution retries
a failed request seconds or minutes later, and sends some events again with a new `date_time` as the only difference.
"""

from collections.abc import Iterable, Iterator

from conversations.demo.demo_clock import MINUTE, SECOND
from conversations.demo.events import Event
from conversations.demo.rng import Random

_MAX_RACE = 400  # maximum delay of a request in milliseconds; a request sent later can arrive first
_RETRIED_SHARE = 0.01  # fraction of events that arrive late, because the first request failed
_RETRY_DELAYS = (5 * SECOND, 16 * SECOND, 36 * SECOND, 2 * MINUTE)
_DUPLICATED_SHARE = 0.02  # fraction of events whose body is sent twice, because the response came too late
_RESTAMPED_SHARE = 0.03  # fraction of `_RESTAMPED_EVENTS` that are sent again with a new `date_time`
_RESTAMPED_EVENTS = frozenset({"messages.upsert", "messages.update"})


def shuffle_and_repeat(events: Iterable[Event], rng: Random) -> list[Event]:
    """Return the events and their repetitions in the order of arrival."""
    arrivals = [item for event in events for item in _arrivals(event, rng)]
    return [event for _, event in sorted(arrivals, key=lambda item: item[0])]


def _arrivals(event: Event, rng: Random) -> Iterator[tuple[int, Event]]:
    """Yield an event, and its repetition if there is one, each with the time of arrival."""
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
