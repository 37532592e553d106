"""How often what has happened to events, summed up over all processes.

What happens as events are applied is counted in the same transaction, so that it is counted if and only if it has
happened: `applied`, `ignored`, `unknown`, `foreign`, `failed`, `retried`, `coalesced`, `expired`, and `delayed` by the
throttle. What happens at the door is counted in the process, and added up now and then (`door.py`): `received`, and
`delayed` or `overloaded` when the sender was asked to come back later.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, connection
from django.db.models import Sum

from conversations.models import IngestCounter, Instance

_ADD = """
INSERT INTO {table} (instance_id, name, value) VALUES {rows}
ON CONFLICT (instance_id, name) DO UPDATE SET value = {table}.value + excluded.value
"""

Counts = Mapping[tuple[int, str], int]

_counts: Counter[tuple[int, str]] = Counter()
_lock = threading.Lock()


def increment(instance: int, name: str) -> None:
    """Count in this process; `flush` adds it to the sums."""
    with _lock:
        _counts[instance, name] += 1


def flush() -> None:
    """Add what was counted in this process to the sums.

    Raises:
        DatabaseError, InterfaceError: it cannot be written now; what was counted stays.
    """
    with _lock:
        new = dict(_counts)
        _counts.clear()
    try:
        add_to_totals(new)
    except IntegrityError:  # of an instance that is no more; the others' are added next time
        there = set(Instance.objects.values_list("pk", flat=True))
        with _lock:
            _counts.update({key: times for key, times in new.items() if key[0] in there})
    except BaseException:
        with _lock:
            _counts.update(new)
        raise


def reset_after_fork() -> None:
    """Forget what was counted, in a process that was forked off: its parent knows it."""
    global _lock  # noqa: PLW0603 - another thread of the parent may have had the old one
    _lock = threading.Lock()
    _counts.clear()


def add_to_totals(counts: Counts) -> None:
    """Add to the sums, in the transaction at hand if there is one.

    Raises:
        DatabaseError, InterfaceError: it cannot be written.
    """
    # In one order everywhere, so that two processes never wait for each other.
    rows = [(instance, name, value) for (instance, name), value in sorted(counts.items()) if value]
    if rows:
        table = IngestCounter._meta.db_table  # noqa: SLF001 - Django's documented way to it
        values: list[Any] = [value for row in rows for value in row]
        with connection.cursor() as cursor:
            cursor.execute(_ADD.format(table=table, rows=", ".join(["(%s, %s, %s)"] * len(rows))), values)


def totals() -> dict[str, int]:
    """Return the sums of all instances."""
    return dict(IngestCounter.objects.values_list("name").annotate(Sum("value")).order_by("name"))


def for_instance(instance: int) -> dict[str, int]:
    """Return the sums of one instance."""
    return dict(IngestCounter.objects.filter(instance=instance).order_by("name").values_list("name", "value"))
