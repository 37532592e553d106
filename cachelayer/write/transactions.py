"""Ties write intents to Django's transactions: decides when an intent begins and when it ends.

A transaction has one intent. The intent belongs to a `TransactionHook`, which is the first commit hook of the
transaction, because later hooks may read or raise. Django drops its commit hooks when the transaction is over, however
it ended: by a commit, a rollback, or a closed connection. So the intent ends when Django calls or drops the hook. The
hook is inserted into `connection.run_on_commit` directly, because Django drops a hook added by `transaction.on_commit`
when a savepoint is rolled back.

Outside a transaction (autocommit), the statement of each saved row has an intent of its own (`write_row`). While the
store is away, the statement runs in a transaction, because the outbox row must commit together with the saved row.

If the database connection was lost or a statement was interrupted, the outcome of the write is unknown, because the
database may still commit the write. The intent of a write with an unknown outcome is abandoned and expires.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from weakref import ref

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from cachelayer.runtime.runtime import get_runtime
from cachelayer.write import outbox
from cachelayer.write.intents import WriteIntent

T = TypeVar("T")

# libpq's transaction statuses in which no statement is running: IDLE, INTRANS, INERROR.
_IDLE_STATUSES = (0, 2, 3)


class _TransactionNeeded(Exception):
    """Raised if an intent outside a transaction needs an outbox row, which must commit together with the write."""


class TransactionHook:
    """The commit hook of one transaction that has written, which ends the intent of the transaction.

    Attributes:
        intent: the intent of the transaction.
    """

    def __init__(self, connection: BaseDatabaseWrapper, intent: WriteIntent) -> None:
        self.intent = intent
        self._connection = ref(connection)  # no strong reference, because the connection refers to its hooks
        self._dbapi_connection = connection.connection
        self._pid = os.getpid()

    @property
    def is_own(self) -> bool:
        """Whether this process began the transaction; a forked child inherits the open transactions of its parent."""
        return self._pid == os.getpid()

    def on_commit(self) -> None:
        """End the intent, because the transaction has committed."""
        if self.is_own:
            self.intent.end()

    def __del__(self) -> None:
        """Release the intent when Django drops the hook without calling it, because the transaction was rolled back.

        If the connection itself is deleted, because its thread has died, the intent is left to expire.
        """
        connection = self._connection()
        if self.intent.ended or not self.is_own or connection is None or _find_hook(connection) is self:
            return
        _release(connection, self.intent, self._dbapi_connection, is_rolled_back=True)


def begin(alias: str, tags: Sequence[str]) -> None:
    """Announce that the entries with these tags are about to become invalid.

    Args:
        alias: the alias of the database that is written to.
        tags: the tags of the entries.
    """
    connection = connections[alias]
    if is_in_transaction(connection):
        _transaction_intent(connection, alias).begin(tags)
    else:
        with transaction.atomic(using=alias, savepoint=False):
            begin(alias, tags)


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


def is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a statement run now needs a later commit. Opens no connection, because cache hits need none."""
    commits = connection.settings_dict["AUTOCOMMIT"] if connection.connection is None else connection.autocommit
    return connection.in_atomic_block or not commits


def reads_committed_data(alias: str) -> bool:
    """Tell whether a query run now returns the latest committed rows, which may be cached.

    Inside a transaction, a query may return an older snapshot, or rows that are never committed.
    """
    return not is_in_transaction(connections[alias])


def write_row(
    alias: str, get_tags: Callable[[], Sequence[str]], write: Callable[[], T], *, needs_transaction: bool
) -> T:
    """Write one row while holding an intent, and return what `write` returns.

    Args:
        alias: the alias of the database.
        get_tags: returns the tags of the write.
        write: runs the SQL statements that write the row.
        needs_transaction: whether `get_tags` locks the stored row until it is written.
    """
    connection = connections[alias]
    if not is_in_transaction(connection):
        if not needs_transaction and get_runtime().breaker.is_closed:
            try:
                return _write_in_autocommit(connection, alias, get_tags(), write)
            except _TransactionNeeded:
                pass
        with transaction.atomic(using=alias, savepoint=False):
            return write_row(alias, get_tags, write, needs_transaction=False)
    begin(alias, get_tags())
    return write()


def _write_in_autocommit(connection: BaseDatabaseWrapper, alias: str, tags: Sequence[str], write: Callable[[], T]) -> T:
    connection.ensure_connection()
    dbapi_connection = connection.connection
    intent = WriteIntent(get_runtime(), _require_transaction, partial(outbox.record_after_commit, alias))
    try:
        intent.begin(tags)
        return write()
    finally:
        _release(connection, intent, dbapi_connection)


def _require_transaction(_tags: Sequence[str]) -> None:
    """Replace `outbox.record` in autocommit mode, where an outbox row would not commit together with the write."""
    raise _TransactionNeeded


def _release(
    connection: BaseDatabaseWrapper, intent: WriteIntent, dbapi_connection: object, *, is_rolled_back: bool = False
) -> None:
    """End an intent if its write is known to be over; otherwise abandon the intent."""
    if _is_idle(connection, dbapi_connection):
        intent.end(is_rolled_back=is_rolled_back)
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


def _transaction_intent(connection: BaseDatabaseWrapper, alias: str) -> WriteIntent:
    """Return the intent of the current transaction, which is created at the transaction's first write."""
    hook = _find_hook(connection)
    if hook is None:
        connection.ensure_connection()
        record, record_after_commit = partial(outbox.record, alias), partial(outbox.record_after_commit, alias)
        hook = TransactionHook(connection, WriteIntent(get_runtime(), record, record_after_commit))
        hooks: list[Any] = connection.run_on_commit
        hooks.insert(0, (set(), hook.on_commit, True))
    return hook.intent


def _find_hook(connection: BaseDatabaseWrapper) -> TransactionHook | None:
    """Return the hook of the current transaction; None if this process has not written in the transaction."""
    for _savepoints, function, *_ in connection.run_on_commit:
        hook = getattr(function, "__self__", None)
        if isinstance(hook, TransactionHook) and hook.is_own and not hook.intent.ended:
            return hook
    return None
