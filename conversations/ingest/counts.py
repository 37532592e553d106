"""How often what has happened to events: counted in this process, added now and then to everybody's sums.

`received` and `delayed` are counted at the door, `applied`, `ignored`, `unknown`, `foreign`, `failed`, `retried`,
`coalesced` and `expired` where events are applied.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db import connection

from conversations.models import IngestCount

_ADD = """
INSERT INTO {table} (name, value) VALUES {rows} ON CONFLICT (name) DO UPDATE SET value = {table}.value + excluded.value
"""

_counted: Counter[str] = Counter()
_lock = threading.Lock()


def add(times: Mapping[str, int]) -> None:
    """Count."""
    with _lock:
        _counted.update(times)


def flush() -> None:
    """Add what was counted here to the sums.

    Raises:
        DatabaseError: it cannot be written; what was counted stays.
    """
    with _lock:
        new = {name: times for name, times in sorted(_counted.items()) if times}
    if not new:
        return
    table = IngestCount._meta.db_table  # noqa: SLF001 - Django's documented way to it
    values: list[Any] = [value for item in new.items() for value in item]
    with connection.cursor() as cursor:
        cursor.execute(_ADD.format(table=table, rows=", ".join(["(%s, %s)"] * len(new))), values)
    with _lock:
        _counted.subtract(new)


def totals() -> dict[str, int]:
    """Return everybody's sums."""
    return dict(IngestCount.objects.values_list("name", "value"))
