"""What readers and writers do: the managers' reads and the ORM's writes, on a row or two and a list of them."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import transaction

from cachelayer import cache as values
from cachelayer.orm.managers import Binding, FetchManager
from cachelayer.orm.querysets import CachedQuerySet
from cachelayer.read.reader import MISSING
from cachelayer.read.serializers import RowSerializer
from cachelayer.runtime.runtime import CacheRuntime, runtime
from cachelayer.write import transactions
from conversations.models import Instance
from tests.cachelayer.interleavings.database import Rows as Committed
from tests.cachelayer.interleavings.process import shown
from tests.cachelayer.interleavings.schedule import running

PK, OTHER = 1, 2
ABSENCE = "-"
LIST = "instances:all"
_shape = RowSerializer(Instance, "default")


@cache
def _row(pk: int, value: str) -> Callable[[], Instance]:
    return _shape.loader(_shape.dumps(Instance(pk=pk, name="an instance", state="open", profile_name=value)))


def row(pk: int, value: str) -> Instance:
    """Return a row as the ORM would."""
    return _row(pk, value)()


def read_rows() -> dict[int, Instance]:
    """Read all rows from the database."""
    found = running().connection.read()
    return {pk: row(pk, value) for pk, value in found.items() if isinstance(pk, int)}


# --- reads ------------------------------------------------------------------------------------------------------------
class Rows(FetchManager[Instance]):
    """The manager of instances as it is, in one process, but for its SQL."""

    def __init__(self, now: CacheRuntime) -> None:
        super().__init__()
        self.model = Instance
        self._bind(Binding(Instance, runtime.namespaces.for_tag("instance:1"), now, has_rows=True))

    def _load(self, pk: int) -> Any:
        return read_rows().get(pk, MISSING)

    def _load_many(self, pks: Any) -> dict[Any, Any]:
        return {pk: found for pk, found in read_rows().items() if pk in pks}

    def _primary(self, rows: Any) -> Any:
        return rows


@dataclass(frozen=True)
class Read:
    """A way to read.

    Attributes:
        name: it has.
        act: does it, and returns what it found, in parts that are each of one moment.
        says: what it returns when these rows are committed.
    """

    name: str
    act: Callable[[Rows], list[str]]
    says: Callable[[Committed], list[str]]


def _fetch(rows: Rows) -> list[str]:
    try:
        return [shown(rows.fetch(PK))]
    except Instance.DoesNotExist:
        return [ABSENCE]


def _fetch_many(rows: Rows) -> list[str]:
    found = rows.fetch_many([PK, OTHER])
    return [shown(found[pk]) if pk in found else ABSENCE for pk in (PK, OTHER)]


def _fetch_list(rows: Rows) -> list[str]:
    listed: Any = lambda: list(read_rows().values())  # noqa: E731 - stands for a queryset
    return [" ".join(map(shown, rows.fetch_rows(LIST, listed)))]


fetch = Read("fetch", _fetch, lambda rows: [rows.get(PK, ABSENCE)])
fetch_many = Read("fetch_many", _fetch_many, lambda rows: [rows.get(pk, ABSENCE) for pk in (PK, OTHER)])
fetch_list = Read("fetch_list", _fetch_list, lambda rows: [" ".join(rows.values())])


# --- writes -----------------------------------------------------------------------------------------------------------
class RolledBack(Exception):
    """Ends a transaction, or a part of it."""


def save(value: str) -> None:
    """Save a row outside of a transaction."""
    row(PK, value).save(update_fields=["profile_name"])


def save_another(value: str) -> None:
    """Save another row."""
    row(OTHER, value).save(update_fields=["profile_name"])


def commit(value: str) -> None:
    """Save a row in a transaction."""
    with transaction.atomic():
        save(value)


def roll_back(value: str) -> None:
    """Save a row in a transaction that fails; then the request ends."""
    with suppress(RolledBack), transaction.atomic():
        save(value)
        raise RolledBack
    transactions.release_finished()


def roll_back_a_part(value: str) -> None:
    """Save a row in a savepoint that is rolled back, and again."""
    with transaction.atomic():
        with suppress(RolledBack), transaction.atomic():
            save("<rolled back>   ")
            raise RolledBack
        save(value)


def update(value: str) -> None:
    """Update all rows with one statement."""
    CachedQuerySet(Instance).update(profile_name=value)


def insert(value: str) -> None:
    """Insert a row."""
    Instance(name="an instance", profile_name=value).save(force_insert=True)


def touch(value: str) -> None:
    """Write in SQL, and say so."""
    with transaction.atomic():
        values.touch(f"instance:{PK}", LIST)
        running().connection.write(PK, value)


def read_in_a_transaction(_value: str) -> None:
    """Read twice in a transaction that sees what was committed when it began."""
    rows = Rows(running().process.service)
    with transaction.atomic():
        read_rows()
        _fetch(rows)
