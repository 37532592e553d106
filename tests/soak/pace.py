"""Shortens the long intervals of the cache protocol by one factor, so that ten faults of each kind fit into a minute.

The shortened intervals are the lifetime of intents, the quarantine of a store that came back, the time for which an
accepted write is trusted, and the intervals of background threads. Time-outs and the maximum staleness of the local
tier are not changed.
"""

from collections.abc import Iterator
from types import ModuleType

from cachelayer.background import heartbeat, recovery, subscriber
from cachelayer.runtime import circuit_breaker
from cachelayer.stores import redis
from cachelayer.write import intents

DEFAULT_PACE = 5.0
INTERVALS: dict[str, tuple[ModuleType, str, float]] = {  # each value: (module, constant, constant's units per second)
    "lifetime of an intent": (redis, "INTENT_MS", 1000),
    "quarantine of a store": (redis, "QUARANTINE_S", 1),
    "quarantine in one process only": (recovery, "QUARANTINE_S", 1),
    "poll of the outbox": (recovery, "INTERVAL", 1),
    "probe of the store": (heartbeat, "INTERVAL", 1),
    "trust in the store": (circuit_breaker, "TRUST_S", 1),
    "wait of an unannounced write": (intents, "UNANNOUNCED_S", 1),
    "recovery attempt": (recovery, "RECOVERY_INTERVAL", 1),
    "renewal of intents": (heartbeat, "RENEW_AFTER", 1),
    "report of statistics": (recovery, "REPORT_INTERVAL", 1),
    "reconnect of the subscriber": (subscriber, "RECONNECT_DELAY", 1),
}


def shorten_intervals(pace: float) -> None:
    """Divide all intervals by `pace`, in the current process."""
    for module, name, _ in INTERVALS.values():
        value = getattr(module, name)
        setattr(module, name, type(value)(value / pace))


def seconds() -> Iterator[tuple[str, float]]:
    """Yield the name of each interval and its current length in seconds."""
    for label, (module, name, units) in INTERVALS.items():
        yield label, getattr(module, name) / units
