"""Writes and Django's transactions: when a write begins, and when it ends.

Inside a transaction there is one write, which ends on commit. It is put on the connection's list of commit hooks past
`on_commit`, which would drop it when a savepoint is rolled back. Whether a transaction is over is read off that list:
Django empties it at commit and at rollback.

Outside a transaction each `save()` is a write of its own (`around_save`). While the store is away it gets a
transaction, for the outbox's row must commit with it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper


from cachelayer import outbox, service
from cachelayer.writing import Write


class TransactionNeeded(Exception):
    """The store is away, and what was to be saved is not in a transaction yet."""


class Session:
    """The writes of one connection."""

    def __init__(self) -> None:
        self.write: Write | None = None  # of the transaction
        self.hook: Any = None
        self.alone: list[Write] = []  # of saves outside a transaction, the innermost last


_sessions: WeakKeyDictionary[BaseDatabaseWrapper, Session] = WeakKeyDictionary()


def begin(alias: str, tags: Sequence[str]) -> None:
    """Announce that what these tags name is about to change in a database.

    Raises:
        TransactionNeeded: see there.
    """
    connection = connections[alias]
    session = _session(connection)
    if is_in_transaction(connection):
        _write_of(connection, session, alias).begin(tags)
    elif session.alone:
        session.alone[-1].begin(tags)
    else:
        with transaction.atomic(using=alias, savepoint=False):
            begin(alias, tags)


def settle(alias: str) -> None:
    """End the write of a save outside a transaction: it is committed."""
    session = _session(connections[alias])
    if session.alone:
        session.alone[-1].end()
        session.alone[-1] = _alone()


def is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether what is written now is committed later."""
    return connection.in_atomic_block or not connection.get_autocommit()


def around_save(alias: str, save: Callable[[], None], *, needs_transaction: bool = False) -> None:
    """Save one row.

    Args:
        alias: the database.
        save: does it; is called a second time if the store turns out to be away before anything was written.
        needs_transaction: whether what the save looks at must not change before it is done.
    """
    connection = connections[alias]
    if is_in_transaction(connection):
        save()
        return
    if not needs_transaction and service.current().link.usable:
        session = _session(connection)
        session.alone.append(_alone())
        try:
            save()
        except TransactionNeeded:
            pass
        else:
            return
        finally:
            session.alone.pop().end()
    with transaction.atomic(using=alias, savepoint=False):
        save()


@contextmanager
def touching(alias: str, tags: Iterable[str]) -> Iterator[None]:
    """Announce a change for as long as the block changes things, which is in one transaction."""
    with transaction.atomic(using=alias, savepoint=False):
        begin(alias, list(tags))
        yield


def end_leftovers(**_signal: Any) -> None:
    """End what was rolled back in this thread: a request, a job or a command is over."""
    for connection in connections.all(initialized_only=True):
        session = _sessions.get(connection)
        if session is not None and session.write is not None and not connection.in_atomic_block:
            session.write.end()
            session.write = None


def _session(connection: BaseDatabaseWrapper) -> Session:
    session = _sessions.get(connection)
    if session is None:
        session = _sessions[connection] = Session()
    return session


def _write_of(connection: BaseDatabaseWrapper, session: Session, alias: str) -> Write:
    write = session.write
    if write is not None and not write.ended and any(hook is session.hook for hook in connection.run_on_commit):
        return write
    if write is not None:
        write.end()  # its transaction was rolled back, or ended before the hooks that run now
    write = session.write = Write(service.current(), partial(outbox.record, alias))
    session.hook = (set(), write.end, True)
    connection.run_on_commit.append(session.hook)
    return write


def _alone() -> Write:
    return Write(service.current(), _refuse)


def _refuse(_tags: Sequence[str]) -> None:
    raise TransactionNeeded
