"""The protocol's slow clocks, made faster alike: so a minute has room for ten faults of each kind, and for calm between.

How long a write may be silent, how long nobody believes a store that came back, how often the keeper's threads look
after things. Time-outs and the time for which the local tier trusts itself stay as they are.
"""

from cachelayer import listener, mender
from cachelayer.store import redis


def quicken(pace: float) -> None:
    """Make the slow clocks of this process `pace` times as fast."""
    redis.QUARANTINE_S /= pace  # type: ignore[misc]
    redis.INTENT_MS = int(redis.INTENT_MS / pace)
    for name in ("LOOK_EVERY", "RECOVER_EVERY", "RENEW_AFTER", "REPORT_EVERY"):
        setattr(mender, name, getattr(mender, name) / pace)
    listener.RETRY_AFTER /= pace
