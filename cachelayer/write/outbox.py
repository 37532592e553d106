"""The outbox: a database table that keeps the tags of writes until the store has been told about them.

An outbox row is inserted in the transaction of the write, and deleted after the tags have been touched in the store. If
a process dies before it deletes an outbox row, the next process touches the same tags again, which is harmless. No
database lock is held during a call to the store.
"""

from collections.abc import Iterator, Sequence

from django.db import Error, connections, router

from cachelayer.models import Outbox
from cachelayer.protocol.messages import PATTERN
from cachelayer.runtime.runtime import CacheRuntime
from logs.contexts import Context

BATCH_ROWS = 1000
TAGS_A_ROUND_TRIP = 500

log = Context.CACHE.logger


def record(alias: str, tags: Sequence[str]) -> None:
    """Insert an outbox row with tags; must be called inside the transaction of the write.

    Raises:
        DatabaseError: the outbox row cannot be inserted, so the write must not commit.
    """
    Outbox.objects.using(alias).create(tags="\n".join(tags))


def record_after_commit(alias: str, tags: Sequence[str]) -> None:
    """Insert an outbox row with the tags of a write that is over; never raises."""
    try:
        record(alias, tags)
    except Error as error:
        log.error("Cache outbox UNWRITABLE: %s", type(error).__name__)  # noqa: TRY400 - a traceback may quote SQL rows


def drain(runtime: CacheRuntime) -> int:
    """Touch all tags in the outboxes of all databases; return the number of outbox rows.

    Raises:
        StoreDown: the store does not answer.
        DatabaseError: a database does not answer.
    """
    drained = sum(_drain(runtime, alias) for alias in databases())
    runtime.counters.count("drained", drained)
    if drained:
        log.info("Cache outbox DRAINED: %d writes that could not be announced before", drained)
    return drained


def databases() -> Iterator[str]:
    """Yield the aliases of the databases that have an outbox."""
    for alias in connections:
        mirrored = connections[alias].settings_dict.get("TEST", {}).get("MIRROR")
        if not mirrored and router.allow_migrate(alias, "cachelayer", model_name="outbox"):
            yield alias


def table_exists(alias: str) -> bool:
    """Tell whether a database has the outbox table, which the first migration creates."""
    table = Outbox._meta.db_table  # noqa: SLF001 - Django documents _meta
    return alias in databases() and table in connections[alias].introspection.table_names()


def pending_count() -> int:
    """Return the number of outbox rows whose tags have not been touched in the store yet."""
    return sum(Outbox.objects.using(alias).count() for alias in databases())


def clear() -> None:
    """Delete all outbox rows without touching the tags, for a process that starts with an empty cache."""
    for alias in databases():
        Outbox.objects.using(alias).all().delete()


def _drain(runtime: CacheRuntime, alias: str) -> int:
    rows, drained = Outbox.objects.using(alias).order_by("pk"), 0
    while batch := list(rows.values_list("pk", "tags")[:BATCH_ROWS]):
        words = list(dict.fromkeys(word for _, text in batch for word in text.split("\n")))
        for start in range(0, len(words), TAGS_A_ROUND_TRIP):
            apply(runtime, words[start : start + TAGS_A_ROUND_TRIP])
        drained += rows.filter(pk__in=[pk for pk, _ in batch]).delete()[0]
    return drained


def apply(runtime: CacheRuntime, words: Sequence[str]) -> None:
    """Touch tags; for a word that begins with `~`, remove the entries that match the pattern (`cache.clear`)."""
    runtime.store.touch([word for word in words if not word.startswith(PATTERN)])
    for word in (word for word in words if word.startswith(PATTERN)):
        runtime.store.remove(word.removeprefix(PATTERN))
        runtime.on_message([word])
        runtime.store.announce(word)
