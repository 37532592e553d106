"""How often what has happened to events, summed up over all processes.

What happens as events are applied is counted in the same transaction, so that it is counted if and only if it has
happened: `applied`, `ignored`, `unknown`, `foreign`, `failed`, `retried`, `coalesced`, `expired`, and `delayed` by the
throttle. What happens at the door is counted in the process, and added up now and then (`door.py`): `received`, and
`delayed` or `overloaded` when the sender was asked to come back later.
"""

import threading
from collections import Counter
from collections.abc import Mapping

from django.db import IntegrityError, connection
from django.db.models import Sum

from cachelayer.ops.counter_table import add_counts
from conversations.models import IngestCounter, Instance

Counted = Mapping[tuple[int, str], int]

_counted: Counter[tuple[int, str]] = Counter()
_lock = threading.Lock()


def increment(instance: int, name: str) -> None:
    """Count in this process; `flush` adds it to the sums."""
    with _lock:
        _counted[instance, name] += 1


def flush() -> None:
    """Add what was counted in this process to the sums.

    Raises:
        DatabaseError, InterfaceError: it cannot be written now; what was counted stays.
    """
    with _lock:
        new = dict(_counted)
        _counted.clear()
    try:
        add_to_totals(new)
    except IntegrityError:  # of an instance that is no more; the others' are added next time
        there = set(Instance.objects.values_list("pk", flat=True))
        with _lock:
            _counted.update({key: times for key, times in new.items() if key[0] in there})
    except BaseException:
        with _lock:
            _counted.update(new)
        raise


def reset_after_fork() -> None:
    """Forget what was counted, in a process that was forked off: its parent knows it."""
    global _lock  # noqa: PLW0603 - another thread of the parent may have had the old one
    _lock = threading.Lock()
    _counted.clear()


def add_to_totals(times: Counted) -> None:
    """Add to the sums, in the transaction at hand if there is one.

    Raises:
        DatabaseError, InterfaceError: it cannot be written.
    """
    add_counts(IngestCounter, ("instance_id", "name"), times, using=connection.alias)


def totals() -> dict[str, int]:
    """Return the sums of all instances."""
    return dict(IngestCounter.objects.values_list("name").annotate(Sum("value")).order_by("name"))


def for_instance(instance: int) -> dict[str, int]:
    """Return the sums of one instance."""
    return dict(IngestCounter.objects.filter(instance=instance).order_by("name").values_list("name", "value"))
