"""The outbox: what was written while the store was away, kept in the database until the store knows of it.

A row is inserted in the transaction of its write, and deleted once the store has taken its tags: who dies in between
leaves it to the next, and no lock is held while the store is asked. That some are touched twice harms nobody.
"""

from collections.abc import Iterator, Sequence

from django.db import Error, connections, router

from cachelayer.runtime.runtime import PATTERN, CacheRuntime
from logs.contexts import Context

AT_ONCE = 1000  # rows
WORDS = 500  # tags a round trip

log = Context.CACHE.logger


def record(alias: str, tags: Sequence[str]) -> None:
    """Insert a row of tags; to be called inside the transaction of the write.

    Raises:
        DatabaseError: it cannot be inserted; then the write must not commit either.
    """
    from cachelayer.models import Outbox  # noqa: PLC0415 - models need what needs this

    Outbox.objects.using(alias).create(tags="\n".join(tags))


def record_after_commit(alias: str, tags: Sequence[str]) -> None:
    """Insert a row of tags for a write that is over; never raises."""
    try:
        record(alias, tags)
    except Error as error:
        log.error("Cache outbox cannot be written: %s", type(error).__name__)  # noqa: TRY400 - it may quote rows


def drain(service: CacheRuntime) -> int:
    """Touch everything in the outboxes of all databases; return how many rows those were.

    Raises:
        StoreDown: the store does not answer.
        DatabaseError: a database does not.
    """
    drained = sum(_drain(service, alias) for alias in databases())
    service.counters.count("drained", drained)
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
    """Whether a database has the outbox's table: not before the first migration, nor after the last is undone."""
    from cachelayer.models import Outbox  # noqa: PLC0415 - as above

    table = Outbox._meta.db_table  # noqa: SLF001 - Django's documented way to it
    return alias in databases() and table in connections[alias].introspection.table_names()


def pending_count() -> int:
    """Return how many rows nobody has drained yet."""
    from cachelayer.models import Outbox  # noqa: PLC0415 - as above

    return sum(Outbox.objects.using(alias).count() for alias in databases())


def clear() -> None:
    """Empty the outboxes without touching anything: for who starts with an empty cache."""
    from cachelayer.models import Outbox  # noqa: PLC0415 - as above

    for alias in databases():
        Outbox.objects.using(alias).all().delete()


def _drain(service: CacheRuntime, alias: str) -> int:
    from cachelayer.models import Outbox  # noqa: PLC0415 - as above

    rows, drained = Outbox.objects.using(alias).order_by("pk"), 0
    while found := list(rows.values_list("pk", "tags")[:AT_ONCE]):
        tags = list(dict.fromkeys(tag for _, line in found for tag in line.split("\n")))
        for start in range(0, len(tags), WORDS):
            apply(service, tags[start : start + WORDS])
        drained += rows.filter(pk__in=[pk for pk, _ in found]).delete()[0]
    return drained


def apply(service: CacheRuntime, tags: Sequence[str]) -> None:
    """Touch tags; a word that begins with `~` is a pattern, to be cleared (`cache.clear`)."""
    service.store.touch([tag for tag in tags if not tag.startswith(PATTERN)])
    for pattern in (tag for tag in tags if tag.startswith(PATTERN)):
        service.store.remove(pattern[1:])
        service.on_message([pattern])
        service.store.announce(pattern)
