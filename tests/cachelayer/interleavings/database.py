"""A fake database at isolation level READ COMMITTED: the committed rows, and the changes of each open transaction.

`FakeConnection` is a Django database wrapper, so Django's own code decides when to commit, what a savepoint rollback
undoes and which `on_commit` hooks run. A row that a transaction has written is locked until the transaction ends.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.db.backends.base.features import BaseDatabaseFeatures
from django.db.backends.dummy.base import DatabaseWrapper

from tests.cachelayer.interleavings.scheduler import observe, running_actor, step

Key = int | tuple[str, int]  # the primary key of a row, or ("outbox", primary key) for a row of the outbox
Rows = Mapping[Key, str]
Changes = dict[Key, str | None]


class FakeDatabase:
    """The committed rows of the fake database, and the connection that holds each row lock.

    Attributes:
        writers: the number of actors that write; a single writer never waits for a row lock.
        uses_outbox: whether the outbox may ever hold a row in this scenario.
        on_commit: a function that is called with the changes of each commit.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.locks: dict[Key, FakeConnection] = {}
        self.writers = 0
        self.uses_outbox = False
        self.on_commit: Callable[[Changes], object] = lambda _changes: None
        self._last_pk = 0

    def next_pk(self) -> int:
        """Return an unused primary key for a row of the outbox."""
        self._last_pk += 1
        return self._last_pk


class FakeConnection(DatabaseWrapper):
    """A fake database connection. With `keeps_snapshot`, a transaction keeps the snapshot of its first SELECT."""

    features_class = BaseDatabaseFeatures

    def __init__(self, database: FakeDatabase, *, keeps_snapshot: bool = False) -> None:
        super().__init__({"TIME_ZONE": None, "OPTIONS": {}, "AUTOCOMMIT": True}, "default")
        self.database = database
        self.autocommit = True
        self.connection = self
        self.keeps_snapshot = keeps_snapshot
        self._snapshot: Rows | None = None
        self._uncommitted: Changes = {}
        self._savepoints: dict[str, Changes] = {}

    # --- rows ---------------------------------------------------------------------------------------------------------
    def read(self) -> dict[Key, str]:
        """Return all rows that the connection sees: committed rows and the uncommitted changes of its transaction."""
        step("SELECT")
        visible = self._snapshot or self.database.rows
        if self.keeps_snapshot and not self.autocommit:
            self._snapshot = visible
        rows = _merge(visible, self._uncommitted)
        observe(tuple(rows.items()))
        return rows

    def write(self, key: Key, value: str | None) -> None:
        """Insert or update a row, or delete it if the value is None; wait while another connection locks the row."""
        if self.autocommit or self.database.writers > 1:
            step("write", lambda: self.database.locks.get(key, self) is self)
        self.write_unlocked(key, value)
        if not self.autocommit:
            self.database.locks[key] = self

    def write_unlocked(self, key: Key, value: str | None) -> None:
        """Change a row as `write` does, but without taking a step or a lock, because no other actor writes the row."""
        self._uncommitted[key] = value
        if self.autocommit:
            self._apply()

    def discard(self) -> None:
        """Discard uncommitted changes and release row locks, as a database server does when a client disconnects."""
        self._uncommitted.clear()
        self._savepoints.clear()
        self._snapshot = None
        self.database.locks = {key: owner for key, owner in self.database.locks.items() if owner is not self}

    def _apply(self) -> None:
        changes = dict(self._uncommitted)
        self.discard()
        self.database.rows = _merge(self.database.rows, changes)
        self.database.on_commit(changes)

    # --- called by Django ---------------------------------------------------------------------------------------------
    def ensure_connection(self) -> None:
        """Do nothing, because a fake connection is always open."""

    def is_usable(self) -> bool:
        return True

    def _set_autocommit(self, autocommit: bool) -> None:  # noqa: FBT001 - Django passes the argument by position
        self.autocommit = autocommit

    def _commit(self) -> None:
        if self._uncommitted:
            step("COMMIT")
            self._apply()
        self.discard()

    def _rollback(self) -> None:
        if self._uncommitted:
            step("ROLLBACK")
        self.discard()

    def _savepoint(self, sid: str) -> None:
        self._savepoints[sid] = dict(self._uncommitted)

    def _savepoint_rollback(self, sid: str) -> None:
        self._uncommitted = dict(self._savepoints.get(sid, {}))  # after a crash, no savepoints are left

    def _savepoint_commit(self, sid: str) -> None:
        self._savepoints.pop(sid, None)


def _merge(rows: Rows, changes: Changes) -> dict[Key, str]:
    return {key: value for key, value in {**rows, **changes}.items() if value is not None}


class FakeConnections:
    """Replaces `django.db.connections`: every alias leads to the connection of the running actor."""

    def __getitem__(self, _alias: str) -> FakeConnection:
        connection: FakeConnection = running_actor().connection
        return connection

    def __iter__(self) -> Any:
        return iter(["default"])

    def all(self, **_options: Any) -> list[FakeConnection]:
        """Return a list with the one connection of the running actor."""
        return [running_actor().connection]

    def close_all(self) -> None:
        """Do nothing, because the running actor continues to use its connection."""


connections = FakeConnections()


class FakeOutbox:
    """Replaces the `Outbox` model, and supports only the queries of `cachelayer.write.outbox`."""

    class _Rows:
        def __init__(self, pks: list[int] | None = None) -> None:
            self._pks = pks

        def using(self, _alias: str) -> "FakeOutbox._Rows":
            return self

        def order_by(self, _field: str) -> "FakeOutbox._Rows":
            return self

        def create(self, tags: str) -> None:
            connection = running_actor().connection
            if connection.autocommit:
                step("INSERT outbox")
            connection.write_unlocked(("outbox", connection.database.next_pk()), tags)

        def values_list(self, *_fields: str) -> list[tuple[int, str]]:
            connection = running_actor().connection
            if not connection.database.uses_outbox:
                return []
            rows = connection.read()
            return [(key[1], tags) for key, tags in rows.items() if isinstance(key, tuple)]

        def filter(self, pk__in: list[int]) -> "FakeOutbox._Rows":
            return FakeOutbox._Rows(pk__in)

        def delete(self) -> tuple[int, dict[str, int]]:
            pks = self._pks or []
            connection = running_actor().connection
            if pks:
                step("DELETE")
            for pk in pks:
                connection.write_unlocked(("outbox", pk), None)
            return len(pks), {}

    objects = _Rows()
