"""Shortens the protocol's long intervals by one factor, so that a minute suffices for ten faults of each kind.

Affects the lifetime of intents, the quarantine of a store that came back, and the intervals of the background threads.
Time-outs and the maximum staleness of the local tier are not changed.
"""

from collections.abc import Iterator
from types import ModuleType

from cachelayer.background import heartbeat, recovery, subscriber
from cachelayer.stores import redis

DEFAULT_PACE = 5.0
INTERVALS: dict[str, tuple[ModuleType, str, float]] = {  # module, constant, and the constant's units per second
    "lifetime of an intent": (redis, "INTENT_MS", 1000),
    "quarantine of a store": (redis, "QUARANTINE_S", 1),
    "quarantine in one process only": (recovery, "QUARANTINE_S", 1),
    "poll of the outbox": (recovery, "INTERVAL", 1),
    "probe of the store": (heartbeat, "INTERVAL", 1),
    "recovery attempt": (recovery, "RECOVERY_INTERVAL", 1),
    "renewal of intents": (heartbeat, "RENEW_AFTER", 1),
    "report of statistics": (recovery, "REPORT_INTERVAL", 1),
    "reconnect of the subscriber": (subscriber, "RECONNECT_DELAY", 1),
}


def shorten_intervals(pace: float) -> None:
    """Divide the intervals of this process by `pace`."""
    for module, name, _ in INTERVALS.values():
        value = getattr(module, name)
        setattr(module, name, type(value)(value / pace))


def seconds() -> Iterator[tuple[str, float]]:
    """Yield the name and the current seconds of each interval."""
    for label, (module, name, units) in INTERVALS.items():
        yield label, getattr(module, name) / units
