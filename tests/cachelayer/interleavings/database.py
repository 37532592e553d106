"""The database's double: committed rows, and what each transaction has not committed yet (READ COMMITTED).

`Connection` is one of Django's, whose own code decides when to commit, what a savepoint's rollback undoes and what is
called afterwards. A row that a transaction has written is locked until its end.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.db.backends.base.features import BaseDatabaseFeatures
from django.db.backends.dummy.base import DatabaseWrapper

from tests.cachelayer.interleavings.schedule import note, running, step

Key = int | tuple[str, int]  # a row's primary key, or ("outbox", number)
Rows = Mapping[Key, str]
Changes = dict[Key, str | None]


class Database:
    """What is committed, and what is locked by whom. `on_commit` is called with each commit's changes."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.locks: dict[Key, Connection] = {}
        self.writers = 0
        self.has_outbox = False  # whether anything may ever be in it
        self.on_commit: Callable[[Changes], object] = lambda _changes: None
        self._numbers = 0

    def number(self) -> int:
        """Return a primary key that nobody had."""
        self._numbers += 1
        return self._numbers


class Connection(DatabaseWrapper):
    """One connection. `keeps_snapshot` lets a transaction see only what was committed at its first SELECT."""

    features_class = BaseDatabaseFeatures

    def __init__(self, database: Database, *, keeps_snapshot: bool = False) -> None:
        super().__init__({"TIME_ZONE": None, "OPTIONS": {}, "AUTOCOMMIT": True}, "default")
        self.database = database
        self.autocommit = True
        self.connection = self
        self.keeps_snapshot = keeps_snapshot
        self._snapshot: Rows | None = None
        self._pending: Changes = {}
        self._savepoints: dict[str, Changes] = {}

    # --- rows ---------------------------------------------------------------------------------------------------------
    def read(self) -> dict[Key, str]:
        """Return all rows as they are seen from here."""
        step("SELECT")
        seen = self._snapshot or self.database.rows
        if self.keeps_snapshot and not self.autocommit:
            self._snapshot = seen
        rows = _changed(seen, self._pending)
        note(tuple(rows.items()))
        return rows

    def write(self, key: Key, value: str | None) -> None:
        """Insert, update or (None) delete a row, when nobody else has it locked."""
        if self.autocommit or self.database.writers > 1:
            step("write", lambda: self.database.locks.get(key, self) is self)
        self.insert(key, value)
        if not self.autocommit:
            self.database.locks[key] = self

    def insert(self, key: Key, value: str | None) -> None:
        """Insert a row that nobody else can know of yet."""
        self._pending[key] = value
        if self.autocommit:
            self._apply()

    def forget(self) -> None:
        """Lose what is not committed, as when the client dies."""
        self._pending.clear()
        self._savepoints.clear()
        self._snapshot = None
        self.database.locks = {key: who for key, who in self.database.locks.items() if who is not self}

    def _apply(self) -> None:
        changes = dict(self._pending)
        self.forget()
        self.database.rows = _changed(self.database.rows, changes)
        self.database.on_commit(changes)

    # --- what Django's code calls -------------------------------------------------------------------------------------
    def ensure_connection(self) -> None:
        """It is connected."""

    def is_usable(self) -> bool:
        return True

    def _set_autocommit(self, autocommit: bool) -> None:  # noqa: FBT001 - Django's
        self.autocommit = autocommit

    def _commit(self) -> None:
        if self._pending:
            step("COMMIT")
            self._apply()
        self.forget()

    def _rollback(self) -> None:
        if self._pending:
            step("ROLLBACK")
        self.forget()

    def _savepoint(self, sid: str) -> None:
        self._savepoints[sid] = dict(self._pending)

    def _savepoint_rollback(self, sid: str) -> None:
        self._pending = dict(self._savepoints.get(sid, {}))  # none: it is dead

    def _savepoint_commit(self, sid: str) -> None:
        self._savepoints.pop(sid, None)


def _changed(rows: Rows, changes: Changes) -> dict[Key, str]:
    return {key: value for key, value in {**rows, **changes}.items() if value is not None}


class Connections:
    """What the code under test takes Django's `connections` for: each actor has one, under every alias."""

    def __getitem__(self, alias: str) -> Connection:
        return running().connection

    def __iter__(self) -> Any:
        return iter(["default"])

    def all(self, **_options: Any) -> list[Connection]:
        """Return those of this thread."""
        return [running().connection]

    def close_all(self) -> None:
        """They are needed again."""


connections = Connections()


class Outbox:
    """What `outbox` takes its model for: the few queries that it makes of it."""

    class _Rows:
        def __init__(self, numbers: list[int] | None = None) -> None:
            self._numbers = numbers

        def using(self, _alias: str) -> "Outbox._Rows":
            return self

        def order_by(self, _field: str) -> "Outbox._Rows":
            return self

        def create(self, tags: str) -> None:
            connection = running().connection
            if connection.autocommit:
                step("INSERT outbox")
            connection.insert(("outbox", connection.database.number()), tags)

        def values_list(self, *_fields: str) -> list[tuple[int, str]]:
            connection = running().connection
            if not connection.database.has_outbox:
                return []
            rows = connection.read()
            return [(key[1], tags) for key, tags in rows.items() if isinstance(key, tuple)]

        def filter(self, pk__in: list[int]) -> "Outbox._Rows":
            return Outbox._Rows(pk__in)

        def delete(self) -> tuple[int, dict[str, int]]:
            numbers = self._numbers or []
            connection = running().connection
            if numbers:
                step("DELETE")
            for number in numbers:
                connection.insert(("outbox", number), None)
            return len(numbers), {}

    objects = _Rows()
