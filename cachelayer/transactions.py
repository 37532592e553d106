"""Writes and Django's transactions: when a write begins, and when it ends.

Inside a transaction there is one write, which ends on commit. It is put on the connection's list of commit hooks past
`on_commit`, which would drop it when a savepoint is rolled back. Whether a transaction is over is read off that list:
Django empties it at commit and at rollback.

Outside a transaction each save is a write of its own, from the first signal to the last (`around_save`). While the
store is away it gets a transaction, for the outbox's row must commit with it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from cachelayer import outbox, service
from cachelayer.writing import Write


class TransactionNeeded(Exception):
    """The cache's store is away, so what is saved must be saved inside `transaction.atomic()`."""


@dataclass
class Alone:
    """A save outside a transaction: its row, its write, and whether `around_save` is around it."""

    row: object
    write: Write
    is_enclosed: bool


class Session:
    """The writes of one connection."""

    def __init__(self) -> None:
        self.write: Write | None = None  # of the transaction
        self.hook: Any = None
        self.alone: list[Alone] = []  # the innermost last: a receiver of a signal may save another row


_sessions: WeakKeyDictionary[BaseDatabaseWrapper, Session] = WeakKeyDictionary()


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
            session.alone.append(Alone(row, _alone(), is_enclosed=False))
        session.alone[-1].write.begin(tags)


def settle(alias: str, row: object) -> None:
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


def sees_what_is_committed(alias: str) -> bool:
    """Whether what is read now is what is committed: in a transaction it may be older, or never be committed."""
    connection = connections[alias]
    if is_in_transaction(connection):
        return False
    _end_rolled_back(_session(connection))
    return True


def around_save(alias: str, row: object, save: Callable[[], None], *, needs_transaction: bool = False) -> None:
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
    if not needs_transaction and service.current().link.usable:
        session = _session(connection)
        _end_rolled_back(session)
        alone = session.alone
        depth = len(alone)
        alone.append(Alone(row, _alone(), is_enclosed=True))
        try:
            save()
        except TransactionNeeded:
            pass
        else:
            return
        finally:
            for one in reversed(alone[depth:]):
                one.write.end()
            del alone[depth:]
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
        if session is None or connection.in_atomic_block:
            continue
        for one in session.alone:
            one.write.end()
        session.alone.clear()
        _end_rolled_back(session)


def _end_rolled_back(session: Session) -> None:
    """End the write of a transaction that is over, which a commit would have done."""
    if session.write is not None:
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
