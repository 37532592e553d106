"""The table of all metrics: `/metrics` shows them, in this order.

No label grows with use: the values of labels are names in the code, or are limited in number.
"""

from collections.abc import Iterator

from cachelayer.ops import statistics
from cachelayer.runtime.metrics import EVENTS
from conversations.monitoring.metric import Metric, Sample
from conversations.monitoring.reading import Reading


def _cache_operations(reading: Reading) -> Iterator[Sample]:
    for (namespace, tier, name), value in sorted(reading.cache.items()):
        if namespace != EVENTS:
            yield Sample(value, (namespace, tier, name))


def _cache_events(reading: Reading) -> Iterator[Sample]:
    return (Sample(value, (name,)) for name, value in statistics.events(reading.cache).items())


def _ingestion(reading: Reading) -> Iterator[Sample]:
    return (Sample(value, (name,)) for name, value in sorted(reading.ingestion.items()))


METRICS = (
    Metric(
        "whatsai_cache_operations_total",
        "counter",
        "Operations of the cache by namespace and tier, such as hits, misses, fills and invalidations.",
        _cache_operations,
        ("namespace", "tier", "operation"),
    ),
    Metric(
        "whatsai_cache_events_total",
        "counter",
        "Rare events of the cache, such as outages, recoveries and lost channels.",
        _cache_events,
        ("event",),
    ),
    Metric(
        "whatsai_webhook_events_total",
        "counter",
        "Webhook events by what happened to them: received, refused, applied, failed, retried and so on.",
        _ingestion,
        ("counter",),
    ),
)
