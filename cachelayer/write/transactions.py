"""Writes and Django's transactions: when a write begins, and when it ends.

Inside a transaction there is one write, which ends on commit. It is put on the connection's list of commit hooks past
`on_commit`, which would drop it when a savepoint is rolled back, and before all others, which may read or fail. Whether
a transaction is over is read off that list: Django empties it at commit and at rollback.

Outside a transaction each save is a write of its own, from the first signal to the last (`around_save`). While the
store is away it gets a transaction, for the outbox's row must commit with it.

A write whose end nobody has seen, because the connection was lost or the statement broken off, is not ended: the
database may be about to commit it. Its intents expire.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from cachelayer.runtime.runtime import get_runtime
from cachelayer.write import outbox
from cachelayer.write.intents import WriteIntent
from logs.fork import after_fork


class TransactionNeeded(Exception):
    """The cache's store is away, so what is saved must be saved inside `transaction.atomic()`."""


@dataclass
class AutocommitSave:
    """A save outside a transaction: its row, its write, and whether `around_save` is around it."""

    row: object
    write: WriteIntent
    is_enclosed: bool
    raw: object = None  # the connection to the database that it began on


class ConnectionWrites:
    """The writes of one connection."""

    def __init__(self) -> None:
        self.write: WriteIntent | None = None  # of the transaction
        self.raw: object = None  # the connection to the database that it began on
        self.alone: list[AutocommitSave] = []  # the innermost last: a receiver of a signal may save another row


_sessions: WeakKeyDictionary[BaseDatabaseWrapper, ConnectionWrites] = WeakKeyDictionary()


def begin(alias: str, tags: Sequence[str], row: object = None) -> None:
    """Announce that what these tags name is about to change in a database.

    Args:
        alias: the database.
        tags: what changes.
        row: the row that is being saved, for which `settle` will be called; None when there is none.

    Raises:
        TransactionNeeded: a row is saved outside a transaction, and the store is away.
    """
    connection = connections[alias]
    session = _session(connection)
    if is_in_transaction(connection):
        _write_of(connection, session, alias).begin(tags)
    elif row is None:
        with transaction.atomic(using=alias, savepoint=False):
            begin(alias, tags)
    else:
        if not session.alone or session.alone[-1].row is not row:
            session.alone.append(AutocommitSave(row, _alone(alias), is_enclosed=False))
        connection.ensure_connection()
        session.alone[-1].raw = connection.connection
        session.alone[-1].write.begin(tags)


def finish_save(alias: str, row: object) -> None:
    """End the write of a save outside a transaction: it is committed."""
    alone = _session(connections[alias]).alone
    if not any(one.row is row for one in alone):
        return
    while alone[-1].row is not row:
        alone.pop().write.end()  # a save that failed, and was forgiven
    alone[-1].write.end()
    if not alone[-1].is_enclosed:
        alone.pop()


def is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether what is written now is committed later. To ask is not to connect: a hit needs no database."""
    commits = connection.settings_dict["AUTOCOMMIT"] if connection.connection is None else connection.autocommit
    return connection.in_atomic_block or not commits


def reads_committed_data(alias: str) -> bool:
    """Whether what is read now is what is committed: in a transaction it may be older, or never be committed."""
    connection = connections[alias]
    if is_in_transaction(connection):
        return False
    _end_rolled_back(connection, _session(connection))
    return True


def save_with_intent(alias: str, row: object, save: Callable[[], None], *, needs_transaction: bool = False) -> None:
    """Save one row.

    Args:
        alias: the database.
        row: what is saved.
        save: does it; is called a second time if the store turns out to be away before anything was written.
        needs_transaction: whether what the save looks at must not change before it is done.
    """
    connection = connections[alias]
    if is_in_transaction(connection):
        save()
        return
    if not needs_transaction and get_runtime().breaker.is_closed:
        session = _session(connection)
        _end_rolled_back(connection, session)
        alone = session.alone
        depth = len(alone)
        alone.append(AutocommitSave(row, _alone(alias), is_enclosed=True))
        try:
            save()
        except TransactionNeeded:
            pass
        else:
            return
        finally:
            for one in reversed(alone[depth:]):
                _release(connection, one.write, one.raw)
            del alone[depth:]
    with transaction.atomic(using=alias, savepoint=False):
        save()


def release_finished(**_signal: Any) -> None:
    """End what was rolled back in this thread: a request, a job or a command is over."""
    for connection in connections.all(initialized_only=True):
        session = _sessions.get(connection)
        if session is None or connection.in_atomic_block:
            continue
        for one in session.alone:
            _release(connection, one.write, one.raw)
        session.alone.clear()
        _end_rolled_back(connection, session)


def _end_rolled_back(connection: BaseDatabaseWrapper, session: ConnectionWrites) -> None:
    """End the write of a transaction that is over, which a commit would have done."""
    if session.write is not None:
        _release(connection, session.write, session.raw)
        session.write = None


def _release(connection: BaseDatabaseWrapper, write: WriteIntent, raw: object) -> None:
    """End a write that is over, if it is known to be."""
    if write.ended or raw is None or _is_idle(connection, raw):
        write.end()
    else:
        write.abandon()


def _is_idle(connection: BaseDatabaseWrapper, raw: Any) -> bool:
    """Whether a database has answered all that was sent by a connection: else it may be about to commit it."""
    if connection.vendor == "sqlite":  # it is in this process, and does nothing by itself
        return True
    if connection.connection is not raw:
        return False
    if connection.vendor == "postgresql":
        return not raw.closed and raw.info.transaction_status in _AT_REST
    return connection.is_usable()


def _session(connection: BaseDatabaseWrapper) -> ConnectionWrites:
    session = _sessions.get(connection)
    if session is None:
        session = _sessions[connection] = ConnectionWrites()
    return session


def _write_of(connection: BaseDatabaseWrapper, session: ConnectionWrites, alias: str) -> WriteIntent:
    write = session.write
    hooks: list[Any] = connection.run_on_commit
    # Django makes the list anew when a savepoint is rolled back: the functions in it stay the same.
    if write is not None and not write.ended and any(hook == write.end for _, hook, *_ in hooks):
        return write
    _end_rolled_back(connection, session)  # a transaction that was rolled back, or the one whose hooks run now
    connection.ensure_connection()
    write = session.write = WriteIntent(
        get_runtime(), partial(outbox.record, alias), partial(outbox.record_after_commit, alias)
    )
    session.raw = connection.connection
    hooks.insert(0, (set(), write.end, True))
    return write


def _alone(alias: str) -> WriteIntent:
    return WriteIntent(get_runtime(), _refuse, partial(outbox.record_after_commit, alias))


def _refuse(_tags: Sequence[str]) -> None:
    raise TransactionNeeded


# Of libpq's transaction statuses (IDLE, INTRANS, INERROR) those in which nothing is under way.
_AT_REST = (0, 2, 3)


def _in_child() -> None:
    """Forget the writes of the process that this one was forked from: they are its."""
    _sessions.clear()


after_fork(_in_child)
