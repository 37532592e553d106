"""Counters of ingestion for each instance, summed over all processes.

Workers increment the counters `applied`, `ignored`, `unknown`, `unsupported`, `foreign`, `failed`, `retried`,
`coalesced`, `collapsed`, `other_server`, `expired` and `delayed` (to the next batch). A worker writes its counts in
the transaction that applies the events, so that a rolled-back batch is not counted. `messages` counts new messages that
are not older than a day, because an import would count years at once.

Web processes increment the counters `received`, `refused` (for an answer 401), `delayed` (for an answer 429) and
`overloaded` (for an answer 503). A web process counts in memory, and its background thread (`inbox.web_background`)
flushes the counts to the database.
"""

import threading
from collections import Counter
from collections.abc import Collection, Mapping

from django.db import IntegrityError, connection
from django.db.models import Sum

from cachelayer.ops.counter_table import add_counts
from cachelayer.runtime.histograms import SLOW, histogram
from conversations.models import IngestCounter, Instance

LAG = "whatsai_ingestion_lag_seconds"
lag = histogram(LAG, SLOW)  # from the receipt of an event to the commit of its changes

Counts = Mapping[tuple[int, str], int]  # (instance's primary key, counter name) → count

_counts: Counter[tuple[int, str]] = Counter()
_lock = threading.Lock()


def increment(instance: int, name: str) -> None:
    """Add 1 to a counter in this process' memory; `flush` adds the counts in memory to the database."""
    with _lock:
        _counts[instance, name] += 1


def flush() -> None:
    """Add the counts in memory to the totals in the database.

    Raises:
        DatabaseError, InterfaceError: the database rejects the statement; the counts stay in memory.
    """
    with _lock:
        new = dict(_counts)
        _counts.clear()
    try:
        add_to_totals(new)
    except IntegrityError:  # an instance was deleted: drop its counts, but keep the counts of other instances
        existing = set(Instance.objects.values_list("pk", flat=True))
        with _lock:
            _counts.update({key: count for key, count in new.items() if key[0] in existing})
    except BaseException:
        with _lock:
            _counts.update(new)
        raise


def reset_after_fork() -> None:
    """Drop the copied counts in a forked child process, because the parent process flushes them."""
    global _lock  # noqa: PLW0603 - a thread of the parent may have held the old lock during the fork
    _lock = threading.Lock()
    _counts.clear()


def add_to_totals(counts: Counts) -> None:
    """Add counts to the totals in the database, inside the current transaction if one is open.

    Raises:
        DatabaseError, InterfaceError: the database rejects the statement.
    """
    add_counts(IngestCounter, ("instance_id", "name"), counts, using=connection.alias, time_column="counted_at")


def totals(instances: Collection[int] | None = None) -> dict[str, int]:
    """Return the value of each counter by name, summed over some instances; None stands for all."""
    rows = IngestCounter.objects.all() if instances is None else IngestCounter.objects.filter(instance__in=instances)
    return dict(rows.values_list("name").annotate(Sum("value")).order_by("name"))


def for_instance(instance: int) -> dict[str, int]:
    """Return the value of each counter of one instance, by name."""
    return totals([instance])
