"""How webhooks arrive: not in order, and not once. Pure: events in, the same events and some repetitions out.

Evolution awaits few of its requests, so they race; one that failed is tried again minutes later; and a message can be
told anew, with a new `date_time`, while nothing else of it has changed.
"""

from collections.abc import Iterable, Iterator

from conversations.demo.demo_clock import MINUTE, SECOND
from conversations.demo.events import Event
from conversations.demo.rng import Random

_RACE = 400  # ms by which neighbours may overtake each other
_RETRIED = 0.01
_RETRIES = (5 * SECOND, 16 * SECOND, 36 * SECOND, 2 * MINUTE)
_TWICE = 0.02  # answered too late: the very same body again
_TOLD_ANEW = 0.03

_MESSAGES = frozenset({"messages.upsert", "messages.update"})


def shuffle_and_repeat(events: Iterable[Event], chance: Random) -> list[Event]:
    """Return the events in the order of their arrival, with the repetitions among them."""
    arriving = [item for event in events for item in _arriving(event, chance)]
    return [event for _, event in sorted(arriving, key=lambda item: item[0])]


def _arriving(event: Event, chance: Random) -> Iterator[tuple[int, Event]]:
    at = event.at + chance.randrange(_RACE)
    luck = chance.random()
    if luck < _RETRIED:
        at += chance.choice(_RETRIES)
    yield at, event
    if _RETRIED <= luck < _RETRIED + _TWICE:
        yield at + chance.choice(_RETRIES), event.again(0)
    elif event.name in _MESSAGES and luck > 1 - _TOLD_ANEW:
        later = chance.choice((3 * SECOND, 9 * MINUTE))
        yield at + later, event.again(later)
