"""Ties write intents to Django's transactions: decides when an intent begins and when it ends.

A transaction has one intent, which ends on commit. `intent.end` is inserted into `connection.run_on_commit` directly,
because Django drops a hook added by `transaction.on_commit` when a savepoint is rolled back. `intent.end` is the first
commit hook, because later hooks may read or raise. Django empties `run_on_commit` at commit and at rollback, so this
list shows whether the transaction is over.

Outside a transaction (autocommit), each save has an intent of its own, which lasts from the first Django signal of the
save to the last (`save_with_intent`). While the store is away, a save runs in a transaction, because the outbox row
must commit together with the saved row.

If the database connection was lost or a statement was interrupted, the outcome of the write is unknown, because the
database may still commit the write. The intent of a write with an unknown outcome is abandoned and expires.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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

# libpq's transaction statuses in which no statement is running: IDLE, INTRANS, INERROR.
_IDLE_STATUSES = (0, 2, 3)


class TransactionNeeded(Exception):
    """The cache's store is away, so the row must be saved inside `transaction.atomic()`."""


@dataclass
class AutocommitSave:
    """A save or delete of one row outside a transaction.

    Attributes:
        row: the model instance that is saved or deleted.
        intent: the write intent of this save alone.
        is_wrapped: whether `save_with_intent` runs the save and releases the intent.
        dbapi_connection: the database driver's connection on which the save began; None until a connection is needed.
    """

    row: object
    intent: WriteIntent
    is_wrapped: bool
    dbapi_connection: object = None


class ConnectionWrites:
    """The writes in progress on one of Django's connections.

    Attributes:
        intent: the intent of the current transaction, or of the last transaction if rolled back; otherwise None.
        dbapi_connection: the database driver's connection on which the transaction of `intent` began.
        autocommit_saves: the saves in progress outside a transaction, innermost last, because a receiver of a Django
            signal may save another row.
    """

    def __init__(self) -> None:
        self.intent: WriteIntent | None = None
        self.dbapi_connection: object = None
        self.autocommit_saves: list[AutocommitSave] = []


_connection_writes: WeakKeyDictionary[BaseDatabaseWrapper, ConnectionWrites] = WeakKeyDictionary()


def begin(alias: str, tags: Sequence[str], row: object = None) -> None:
    """Announce that the entries with these tags are about to become invalid.

    Args:
        alias: the alias of the database that is written to.
        tags: the tags of the entries.
        row: the model instance that is being saved or deleted, if `finish_save` will be called for it.

    Raises:
        TransactionNeeded: `row` is saved outside a transaction, and the store is away.
    """
    connection = connections[alias]
    writes = _writes_of(connection)
    if is_in_transaction(connection):
        _transaction_intent(connection, writes, alias).begin(tags)
    elif row is None:
        with transaction.atomic(using=alias, savepoint=False):
            begin(alias, tags)
    else:
        saves = writes.autocommit_saves
        if not saves or saves[-1].row is not row:
            saves.append(AutocommitSave(row, _autocommit_intent(alias), is_wrapped=False))
        connection.ensure_connection()
        saves[-1].dbapi_connection = connection.connection
        saves[-1].intent.begin(tags)


@contextmanager
def bypassed(alias: str, tag: str) -> Iterator[None]:
    """Hold an intent on a tag until the block ends, whatever the transactions inside the block do.

    While the store is away, the tag is in the outbox from the beginning, and is inserted there again at the end.
    """
    unannounced: list[str] = []

    def record(tags: Sequence[str]) -> None:
        outbox.record(alias, tags)
        unannounced.extend(tags)

    intent = WriteIntent(get_runtime(), record, partial(outbox.record_after_commit, alias))
    intent.begin([tag])
    try:
        yield
    finally:
        intent.end()
        if unannounced:
            outbox.record_after_commit(alias, unannounced)


def finish_save(alias: str, row: object) -> None:
    """End the intent of a save outside a transaction; such a save has already committed."""
    saves = _writes_of(connections[alias]).autocommit_saves
    if not any(save.row is row for save in saves):
        return
    while saves[-1].row is not row:
        saves.pop().intent.end()  # ends the intent of a nested save that failed and whose error was caught
    saves[-1].intent.end()
    if not saves[-1].is_wrapped:
        saves.pop()


def is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a statement run now needs a later commit. Opens no connection, because cache hits need none."""
    commits = connection.settings_dict["AUTOCOMMIT"] if connection.connection is None else connection.autocommit
    return connection.in_atomic_block or not commits


def reads_committed_data(alias: str) -> bool:
    """Tell whether a query run now returns the latest committed rows, which may be cached.

    Inside a transaction, a query may return an older snapshot, or rows that are never committed.
    """
    connection = connections[alias]
    if is_in_transaction(connection):
        return False
    _end_rolled_back(connection, _writes_of(connection))
    return True


def save_with_intent(alias: str, row: object, save: Callable[[], None], *, needs_transaction: bool = False) -> None:
    """Save one row, and release the write intent when the save is over.

    Args:
        alias: the alias of the database.
        row: the model instance to save.
        save: saves the row. `save_with_intent` calls it again, inside a transaction, if the store did not answer
            before the first SQL statement.
        needs_transaction: whether the stored row must stay locked between reading the row's tags and saving the row.
    """
    connection = connections[alias]
    if is_in_transaction(connection):
        save()
        return
    if not needs_transaction and get_runtime().breaker.is_closed:
        writes = _writes_of(connection)
        _end_rolled_back(connection, writes)
        saves = writes.autocommit_saves
        depth = len(saves)
        saves.append(AutocommitSave(row, _autocommit_intent(alias), is_wrapped=True))
        try:
            save()
        except TransactionNeeded:
            pass
        else:
            return
        finally:
            for one in reversed(saves[depth:]):
                _release(connection, one.intent, one.dbapi_connection)
            del saves[depth:]
    with transaction.atomic(using=alias, savepoint=False):
        save()


def release_finished(**_signal: Any) -> None:
    """End intents of this thread that a rollback left behind; must be called after a request, a job or a command."""
    for connection in connections.all(initialized_only=True):
        writes = _connection_writes.get(connection)
        if writes is None or connection.in_atomic_block:
            continue
        for save in writes.autocommit_saves:
            _release(connection, save.intent, save.dbapi_connection)
        writes.autocommit_saves.clear()
        _end_rolled_back(connection, writes)


def _end_rolled_back(connection: BaseDatabaseWrapper, writes: ConnectionWrites) -> None:
    """Release the intent of a transaction that is over; a commit has already ended the intent."""
    if writes.intent is not None:
        _release(connection, writes.intent, writes.dbapi_connection)
        writes.intent = None


def _release(connection: BaseDatabaseWrapper, intent: WriteIntent, dbapi_connection: object) -> None:
    """End an intent if its write is known to be over; otherwise abandon the intent."""
    if intent.ended or dbapi_connection is None or _is_idle(connection, dbapi_connection):
        intent.end()
    else:
        intent.abandon()


def _is_idle(connection: BaseDatabaseWrapper, dbapi_connection: Any) -> bool:
    """Tell whether the database has answered all statements of a connection; it may still commit unanswered ones."""
    if connection.vendor == "sqlite":  # SQLite runs inside this process, so no statement outlives its call
        return True
    if connection.connection is not dbapi_connection:
        return False
    if connection.vendor == "postgresql":
        return not dbapi_connection.closed and dbapi_connection.info.transaction_status in _IDLE_STATUSES
    return connection.is_usable()


def _writes_of(connection: BaseDatabaseWrapper) -> ConnectionWrites:
    writes = _connection_writes.get(connection)
    if writes is None:
        writes = _connection_writes[connection] = ConnectionWrites()
    return writes


def _transaction_intent(connection: BaseDatabaseWrapper, writes: ConnectionWrites, alias: str) -> WriteIntent:
    """Return the intent of the current transaction, which is created at the transaction's first write."""
    intent = writes.intent
    hooks: list[Any] = connection.run_on_commit
    # Rolling back a savepoint gives `run_on_commit` a new list, but `intent.end` stays in the list.
    if intent is not None and not intent.ended and any(hook == intent.end for _, hook, *_ in hooks):
        return intent
    _end_rolled_back(connection, writes)  # the earlier transaction may be the one whose commit hooks run now
    connection.ensure_connection()
    intent = writes.intent = WriteIntent(
        get_runtime(), partial(outbox.record, alias), partial(outbox.record_after_commit, alias)
    )
    writes.dbapi_connection = connection.connection
    hooks.insert(0, (set(), intent.end, True))
    return intent


def _autocommit_intent(alias: str) -> WriteIntent:
    return WriteIntent(get_runtime(), _require_transaction, partial(outbox.record_after_commit, alias))


def _require_transaction(_tags: Sequence[str]) -> None:
    """Replace `outbox.record` in autocommit mode, where an outbox row would not commit together with the write."""
    raise TransactionNeeded


def _reset_after_fork() -> None:
    """Drop the intents of the parent process in a forked child."""
    _connection_writes.clear()


after_fork(_reset_after_fork)
