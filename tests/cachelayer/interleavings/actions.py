"""What actors do: read two rows and a list through the cached manager, and write the rows through the ORM."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import transaction

from cachelayer import cache as cache_api
from cachelayer.orm.managers import Binding, FetchManager
from cachelayer.orm.querysets import CachedQuerySet
from cachelayer.orm.rules import get_rule
from cachelayer.protocol.entries import EntryKey
from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.read.entry_store import MISSING
from cachelayer.read.reader import Reader
from cachelayer.read.serializers import RowSerializer, ValueSerializer
from cachelayer.runtime.runtime import CacheRuntime, runtime
from conversations.models import Instance
from tests.cachelayer.interleavings.database import Rows
from tests.cachelayer.interleavings.process import describe
from tests.cachelayer.interleavings.scheduler import running_actor

PK, OTHER_PK = 1, 2
ABSENT = "-"
LIST_TAG = "instances:all"
_rule = get_rule(Instance)
assert _rule is not None
_serializer = RowSerializer(Instance, "default", _rule.remember_loaded)


@cache
def _row_loader(pk: int, value: str) -> Callable[[], Instance]:
    row = Instance(pk=pk, name="an instance", state="open", profile_name=value)
    return _serializer.loader(_serializer.dumps(row))


def make_row(pk: int, value: str) -> Instance:
    """Return a model instance, as if the ORM had loaded it from the database."""
    return _row_loader(pk, value)()


def read_rows() -> dict[int, Instance]:
    """Read all rows from the fake database."""
    found = running_actor().connection.read()
    return {pk: make_row(pk, value) for pk, value in found.items() if isinstance(pk, int)}


# --- reads ------------------------------------------------------------------------------------------------------------
class InstanceFetchManager(FetchManager[Instance]):
    """The cached manager of `Instance` in one simulated process; only the SQL of the manager is replaced."""

    def __init__(self, process_runtime: CacheRuntime) -> None:
        super().__init__()
        self.model = Instance
        namespace = runtime.namespaces.for_tag("instance:1")
        self._bind(Binding(Instance, namespace, process_runtime, has_rows=True))
        self._values: Reader[str] = Reader(process_runtime, namespace, ValueSerializer())

    def fetch_computed(self) -> str:
        """Fetch a cached value that is computed from a cached row, as `cache.fetch` does."""
        key = EntryKey("instances:computed", (f"instance:{PK}", "instances", GLOBAL_TAG))
        value = self._values.read("instances:computed", key, lambda: describe(self.fetch(PK)), lambda: True)
        return str(value)

    def _load(self, pk: int) -> Any:
        return read_rows().get(pk, MISSING)

    def _load_many(self, pks: Any) -> dict[Any, Any]:
        return {pk: found for pk, found in read_rows().items() if pk in pks}

    def primary(self, rows: Any) -> Any:
        return rows


@dataclass(frozen=True)
class Read:
    """A kind of cached read, with the function that tells which values are correct.

    Attributes:
        name: the name of the read in traces.
        run: performs the read, and returns the values found. Only rows within one value are read at the same moment.
        expected: takes all committed rows, and returns the values that a correct read finds.
    """

    name: str
    run: Callable[[InstanceFetchManager], list[str]]
    expected: Callable[[Rows], list[str]]


def _fetch(manager: InstanceFetchManager) -> list[str]:
    try:
        return [describe(manager.fetch(PK))]
    except Instance.DoesNotExist:
        return [ABSENT]


def _fetch_many(manager: InstanceFetchManager) -> list[str]:
    found = manager.fetch_many([PK, OTHER_PK])
    return [describe(found[pk]) if pk in found else ABSENT for pk in (PK, OTHER_PK)]


def _fetch_computed(manager: InstanceFetchManager) -> list[str]:
    return [manager.fetch_computed()]


def _fetch_list(manager: InstanceFetchManager) -> list[str]:
    queryset: Any = lambda: list(read_rows().values())  # noqa: E731 - the lambda replaces a queryset
    return [" ".join(map(describe, manager.fetch_rows(LIST_TAG, queryset)))]


fetch = Read("fetch", _fetch, lambda rows: [rows.get(PK, ABSENT)])
fetch_many = Read("fetch_many", _fetch_many, lambda rows: [rows.get(pk, ABSENT) for pk in (PK, OTHER_PK)])
fetch_computed = Read("fetch_computed", _fetch_computed, lambda rows: [rows.get(PK, ABSENT)])
fetch_list = Read("fetch_list", _fetch_list, lambda rows: [" ".join(rows.values())])


# --- writes -----------------------------------------------------------------------------------------------------------
class Rollback(Exception):
    """Raised inside of `atomic` to roll back a transaction or a savepoint."""


def save(value: str) -> None:
    """Save the first row outside of a transaction."""
    make_row(PK, value).save(update_fields=["profile_name"])


def save_other_row(value: str) -> None:
    """Save the second row outside of a transaction."""
    make_row(OTHER_PK, value).save(update_fields=["profile_name"])


def save_in_transaction(value: str) -> None:
    """Save the first row in a transaction."""
    with transaction.atomic():
        save(value)


def save_and_roll_back(value: str) -> None:
    """Save a row in a transaction that is rolled back."""
    with suppress(Rollback), transaction.atomic():
        save(value)
        raise Rollback


def save_after_savepoint_rollback(value: str) -> None:
    """Save a row in a savepoint that is rolled back, then save the same row in the outer transaction."""
    with transaction.atomic():
        with suppress(Rollback), transaction.atomic():
            save("<rolled back>   ")
            raise Rollback
        save(value)


def bulk_update(value: str) -> None:
    """Update all rows with one statement."""
    CachedQuerySet(Instance).update(profile_name=value)


def insert(value: str) -> None:
    """Insert a row."""
    Instance(name="an instance", profile_name=value).save(force_insert=True)


def write_sql(value: str) -> None:
    """Touch the tags of a row, then write the row in SQL."""
    with transaction.atomic():
        cache_api.touch(f"instance:{PK}", LIST_TAG)
        running_actor().connection.write(PK, value)


def read_in_transaction(_value: str) -> None:
    """Select all rows, and then fetch a row through the cache, in one transaction that keeps its snapshot."""
    manager = InstanceFetchManager(running_actor().process.runtime)
    with transaction.atomic():
        read_rows()
        _fetch(manager)
