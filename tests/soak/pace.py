"""The protocol's slow clocks, made faster alike: so a minute has room for ten faults of each kind, and for calm.

How long a write may be silent, how long nobody believes a store that came back, how often the keeper's threads look
after things. Time-outs and the time for which the local tier trusts itself stay as they are.
"""

from collections.abc import Iterator
from types import ModuleType

from cachelayer.background import heartbeat, recovery, subscriber
from cachelayer.stores import redis

PACE = 5.0  # times as fast
CLOCKS: dict[str, tuple[ModuleType, str, float]] = {  # where each is, and how many of it are a second
    "an intent lives": (redis, "INTENT_MS", 1000),
    "a store that came back is not believed": (redis, "QUARANTINE_S", 1),
    "one that came back to a process alone": (recovery, "QUARANTINE_S", 1),
    "the outbox is polled": (recovery, "LOOK_EVERY", 1),
    "the store is probed": (heartbeat, "LOOK_EVERY", 1),
    "recovering is tried": (recovery, "RECOVER_EVERY", 1),
    "intents are renewed": (heartbeat, "RENEW_AFTER", 1),
    "statistics are reported": (recovery, "REPORT_EVERY", 1),
    "a lost channel is tried": (subscriber, "RETRY_AFTER", 1),
}


def quicken(pace: float) -> None:
    """Make the slow clocks of this process `pace` times as fast."""
    for module, name, _ in CLOCKS.values():
        usual = getattr(module, name)
        setattr(module, name, type(usual)(usual / pace))


def seconds() -> Iterator[tuple[str, float]]:
    """Yield the clocks, and what they are in this process."""
    for what, (module, name, second) in CLOCKS.items():
        yield what, getattr(module, name) / second
