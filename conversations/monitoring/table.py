"""The table of all metrics: `/metrics` shows them, in this order.

No label grows with use: the values of labels are names in the code, or are limited in number.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate

from cachelayer.ops import statistics
from cachelayer.runtime.histograms import FAST, ROUND_TRIP, SLOW, SUM
from cachelayer.runtime.metrics import EVENTS
from conversations.ingest.metrics import LAG
from conversations.models import CheckResult, Instance
from conversations.monitoring import rules
from conversations.monitoring.backlog import MAX_COUNTED
from conversations.monitoring.metric import Alert, Metric, Panel, Sample
from conversations.monitoring.probe import DURATION
from conversations.monitoring.reading import Reading
from conversations.monitoring.requests import REQUESTS
from conversations.monitoring.state import MAX_NUMBERS, State
from conversations.monitoring.statements import STATEMENTS


def _cache_operations(reading: Reading) -> Iterator[Sample]:
    for (namespace, tier, name), value in sorted(reading.cache.items()):
        if namespace != EVENTS:
            yield Sample(value, (namespace, tier, name))


def _cache_events(reading: Reading) -> Iterator[Sample]:
    return (Sample(value, (name,)) for name, value in statistics.events(reading.cache).items())


def _ingestion(reading: Reading) -> Iterator[Sample]:
    return (Sample(value, (name,)) for name, value in sorted(reading.ingestion.items()))


def _histogram(name: str, bounds: tuple[float, ...]) -> Callable[[Reading], Iterator[Sample]]:
    limits = (*map(str, bounds), "+Inf")

    def samples(reading: Reading) -> Iterator[Sample]:
        for series, values in sorted(reading.buckets.get(name, {}).items()):
            labels = tuple(series.split())
            counts = [values.get(bucket, 0) for bucket in range(len(limits))]
            for limit, count in zip(limits, accumulate(counts), strict=True):
                yield Sample(count, labels, "_bucket", (("le", limit),))
            yield Sample(values.get(SUM, 0) / 1e6, labels, "_sum")
            yield Sample(sum(counts), labels, "_count")

    return samples


def _gauge(value: Callable[[State], float]) -> Callable[[Reading], tuple[Sample, ...]]:
    return lambda reading: (Sample(value(reading.state)),)


def _instance_up(reading: Reading) -> Iterator[Sample]:
    for number in reading.state.numbers:
        if number.state != Instance.State.UNKNOWN:  # the numbers of Meta's Cloud API have no connection
            yield Sample(int(number.state == Instance.State.OPEN), (str(number.pk), number.name))


def _last_event(reading: Reading) -> Iterator[Sample]:
    for number in reading.state.numbers:
        if number.last_event_at is not None:
            seconds = (reading.state.at - number.last_event_at).total_seconds()
            yield Sample(round(max(0.0, seconds), 1), (str(number.pk), number.name))


def _instances(reading: Reading) -> Iterator[Sample]:
    counts = Counter(number.state for number in reading.state.numbers)
    return (Sample(counts[state], (state,)) for state in Instance.State.values)


def _alarms(reading: Reading) -> Iterator[Sample]:
    counts = Counter(finding.kind for finding in rules.find_all(reading.state))
    return (Sample(counts[rule.kind], (rule.kind,)) for rule in rules.RULES)


def _check(value: Callable[[State, CheckResult], float]) -> Callable[[Reading], Iterator[Sample]]:
    def samples(reading: Reading) -> Iterator[Sample]:
        for name, result in sorted(reading.state.checks.items()):
            yield Sample(value(reading.state, result), (name,))

    return samples


METRICS = (
    Metric(
        "whatsai_instance_up",
        "gauge",
        f"Whether an instance is connected to WhatsApp; of the {MAX_NUMBERS} with the lowest ids.",
        _instance_up,
        ("id", "instance"),
        panel=Panel("Connected numbers", "bool_on_off"),
    ),
    Metric(
        "whatsai_instance_last_event_seconds",
        "gauge",
        "Seconds since events of an instance were last applied.",
        _last_event,
        ("id", "instance"),
        panel=Panel("Time since the last event", "s"),
    ),
    Metric(
        "whatsai_instances",
        "gauge",
        "Instances by the state of their connection.",
        _instances,
        ("state",),
        panel=Panel("Numbers by state"),
    ),
    Metric(
        "whatsai_events_waiting",
        "gauge",
        f"New webhook events that are stored and not applied yet, counted up to {MAX_COUNTED}.",
        _gauge(lambda state: state.backlog.waiting),
        panel=Panel("Events that wait"),
    ),
    Metric(
        "whatsai_events_late_seconds",
        "gauge",
        "Seconds since the earliest due time of a new event that waits.",
        _gauge(lambda state: round(state.backlog.late, 1)),
        panel=Panel("Delay of the earliest event", "s"),
    ),
    Metric(
        "whatsai_events_failed",
        "gauge",
        f"Events that used up their attempts and wait for a replay, counted up to {MAX_COUNTED}.",
        _gauge(lambda state: state.backlog.failed),
        panel=Panel("Failed events"),
        alert=Alert("WhatsAIFailedEvents", "whatsai_events_failed > 0", 5, "Events could not be applied."),
    ),
    Metric(
        "whatsai_change_feed_lag_seconds",
        "gauge",
        "Seconds by which readers of the change feed are behind, because a transaction is still open.",
        _gauge(lambda state: round(state.feed_lag, 1)),
        panel=Panel("Delay of the change feed", "s"),
    ),
    Metric(
        "whatsai_outbox_rows",
        "gauge",
        "Writes that the shared store of the cache has not been told about yet.",
        _gauge(lambda state: state.outbox),
        panel=Panel("Outbox of the cache"),
        alert=Alert("WhatsAIOutbox", "whatsai_outbox_rows > 0", 5, "Writes wait until Redis can be told about them."),
    ),
    Metric(
        "whatsai_cache_breaker_open",
        "gauge",
        "Whether the process that answers bypasses the cache, because the store does not answer it.",
        _gauge(lambda state: int(not state.is_cache_used)),
        panel=Panel("Cache bypassed", "bool_yes_no"),
    ),
    Metric(
        "whatsai_alarms",
        "gauge",
        "What needs a person now, by the kind of alarm.",
        _alarms,
        ("kind",),
        panel=Panel("Alarms"),
        alert=Alert("WhatsAIAway", "absent(whatsai_alarms)", 2, "The site does not answer Prometheus."),
    ),
    Metric(
        "whatsai_check_ok",
        "gauge",
        "Whether the last run of a regular check found all well: the probe, the audit, or media.",
        _check(lambda _, result: int(result.is_ok)),
        ("check",),
        panel=Panel("Regular checks", "bool_on_off"),
    ),
    Metric(
        "whatsai_check_age_seconds",
        "gauge",
        "Seconds since the last run of a regular check.",
        _check(lambda state, result: round((state.at - result.at).total_seconds(), 1)),
        ("check",),
    ),
    Metric(
        "whatsai_check_duration_seconds",
        "gauge",
        "Seconds that the last run of a regular check took.",
        _check(lambda _, result: round(result.seconds, 3)),
        ("check",),
        panel=Panel("Duration of regular checks", "s"),
    ),
    Metric(
        DURATION,
        "histogram",
        "Seconds that a message of the probe took from the webhook to a follower and the API, if it arrived.",
        _histogram(DURATION, SLOW),
        panel=Panel("Probe, 95th percentile", "s"),
    ),
    Metric(
        "whatsai_cache_operations_total",
        "counter",
        "Operations of the cache by namespace and tier, such as hits, misses, fills and invalidations.",
        _cache_operations,
        ("namespace", "tier", "operation"),
        panel=Panel(
            "Reads answered by the cache",
            "percentunit",
            'sum by (namespace) (rate(whatsai_cache_operations_total{operation=~"hits|negatives"}[5m])) / '
            'sum by (namespace) (rate(whatsai_cache_operations_total{operation=~"hits|negatives"}[5m])'
            ' or rate(whatsai_cache_operations_total{tier="shared",operation=~"misses|bypasses"}[5m]))',
        ),
    ),
    Metric(
        "whatsai_cache_events_total",
        "counter",
        "Rare events of the cache, such as outages, recoveries and lost channels.",
        _cache_events,
        ("event",),
        panel=Panel("Rare events of the cache", "ops"),
    ),
    Metric(
        "whatsai_webhook_events_total",
        "counter",
        "Webhook events by what happened to them, such as received, refused, applied or failed; and new messages.",
        _ingestion,
        ("counter",),
        panel=Panel("Webhook events", "ops"),
    ),
    Metric(
        REQUESTS,
        "histogram",
        "Seconds from the arrival of a complete request to its response, without the time that sending takes.",
        _histogram(REQUESTS, SLOW),
        ("route", "status"),
        panel=Panel("Requests, 95th percentile", "s"),
        alert=Alert(
            "WhatsAIServerErrors",
            'sum(rate(whatsai_http_request_seconds_count{status="5xx"}[5m])) > 0.05',
            5,
            "Requests are answered with errors of the server.",
        ),
    ),
    Metric(
        STATEMENTS,
        "histogram",
        "Seconds that an SQL statement took.",
        _histogram(STATEMENTS, FAST),
        panel=Panel("SQL statements, 95th percentile", "s"),
    ),
    Metric(
        ROUND_TRIP,
        "histogram",
        "Seconds that a round trip to Redis took, with the wait for a connection.",
        _histogram(ROUND_TRIP, FAST),
        panel=Panel("Round trips to Redis, 95th percentile", "s"),
    ),
    Metric(
        LAG,
        "histogram",
        "Seconds from the receipt of a webhook event to the commit of its changes, without imports and retries.",
        _histogram(LAG, SLOW),
        panel=Panel("Ingestion, 95th percentile", "s"),
    ),
)
