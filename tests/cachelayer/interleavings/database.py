"""The fake database: committed rows, and the uncommitted changes of each transaction (READ COMMITTED).

`FakeConnection` is a Django connection: Django's code decides when to commit, what a savepoint rollback undoes and
which hooks run. A row that a transaction has written is locked until the transaction ends.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.db.backends.base.features import BaseDatabaseFeatures
from django.db.backends.dummy.base import DatabaseWrapper

from tests.cachelayer.interleavings.scheduler import observe, running_actor, step

Key = int | tuple[str, int]  # the primary key of a row, or ("outbox", primary key)
Rows = Mapping[Key, str]
Changes = dict[Key, str | None]


class FakeDatabase:
    """Committed rows, and the connection that holds each row lock.

    Attributes:
        writers: the number of actors that write; a single one never waits for a lock.
        uses_outbox: whether the outbox may ever hold a row in this scenario.
        on_commit: called with the changes of each commit.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.locks: dict[Key, FakeConnection] = {}
        self.writers = 0
        self.uses_outbox = False
        self.on_commit: Callable[[Changes], object] = lambda _changes: None
        self._last_pk = 0

    def next_pk(self) -> int:
        """Return an unused primary key for the outbox."""
        self._last_pk += 1
        return self._last_pk


class FakeConnection(DatabaseWrapper):
    """One connection. With `keeps_snapshot` a transaction sees what was committed at its first SELECT."""

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
        """Return all rows that this connection sees."""
        step("SELECT")
        visible = self._snapshot or self.database.rows
        if self.keeps_snapshot and not self.autocommit:
            self._snapshot = visible
        rows = _merge(visible, self._uncommitted)
        observe(tuple(rows.items()))
        return rows

    def write(self, key: Key, value: str | None) -> None:
        """Insert, update or (None) delete a row; wait while another connection has it locked."""
        if self.autocommit or self.database.writers > 1:
            step("write", lambda: self.database.locks.get(key, self) is self)
        self.write_unlocked(key, value)
        if not self.autocommit:
            self.database.locks[key] = self

    def write_unlocked(self, key: Key, value: str | None) -> None:
        """Insert or (None) delete a row without a lock, because no other actor writes that row."""
        self._uncommitted[key] = value
        if self.autocommit:
            self._apply()

    def discard(self) -> None:
        """Discard uncommitted changes and release locks, as the server does when the client disconnects."""
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
        """Do nothing, because the connection is always open."""

    def is_usable(self) -> bool:
        return True

    def _set_autocommit(self, autocommit: bool) -> None:  # noqa: FBT001 - Django passes it by position
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
        self._uncommitted = dict(self._savepoints.get(sid, {}))  # a process that crashed has no savepoints left

    def _savepoint_commit(self, sid: str) -> None:
        self._savepoints.pop(sid, None)


def _merge(rows: Rows, changes: Changes) -> dict[Key, str]:
    return {key: value for key, value in {**rows, **changes}.items() if value is not None}


class FakeConnections:
    """Replaces `django.db.connections`: returns the running actor's connection for every alias."""

    def __getitem__(self, _alias: str) -> FakeConnection:
        connection: FakeConnection = running_actor().connection
        return connection

    def __iter__(self) -> Any:
        return iter(["default"])

    def all(self, **_options: Any) -> list[FakeConnection]:
        """Return the connections of the running actor."""
        return [running_actor().connection]

    def close_all(self) -> None:
        """Do nothing, because the actor continues to use its connection."""


connections = FakeConnections()


class FakeOutbox:
    """Replaces the `Outbox` model: supports only the queries of `cachelayer.write.outbox`."""

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
