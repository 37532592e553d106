"""A writer's notes in the history, taken at the very moment of the commit; and where a writer dies that is told to.

The database's own connection is asked: a transaction is committed when its COMMIT has returned, a statement outside one
when the statement has. What the cache does after it (`end`) has not begun then.
"""

from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import Any

from django.db import connection

from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.runtime.runtime import CacheRuntime, get_runtime
from cachelayer.stores.base import StoreDown, StoreFull
from cachelayer.stores.redis import RedisStore
from cachelayer.write import outbox
from conversations.models import Conversation
from tests.soak.history import History
from tests.soak.orders import Orders
from tests.soak.rows import SLOTS, Rows

TABLE = connection.ops.quote_name(Conversation._meta.db_table)  # noqa: SLF001 - documented
CHANGES = tuple(f"{verb} {TABLE}" for verb in ("UPDATE", "INSERT INTO", "DELETE FROM"))
UNTRIED = 0.2  # seconds in which a store that has failed is not tried again, and a little more

Write = tuple[int, int]  # slot, number


class Ledger:
    """One writer's notes."""

    def __init__(self, history: History, rows: Rows, orders: Orders, writer: int) -> None:
        self._history = history
        self._rows = rows
        self._orders = orders
        self._writer = writer
        self._open: list[Write] = []
        self._outboxed: set[Write] = set()
        self._ending: list[Write] = []
        self._listen()

    def opens(self, writes: Sequence[Write]) -> None:
        """Note what is about to be written, before the cache hears of it."""
        for slot, number in writes:
            self._history.opens(self._writer, slot, number)
        self._open = list(writes)

    def knows(self, slot: int, number: int) -> None:
        """Note a number that is in the database, by whoever it was written."""
        if number > self._history.needed(slot):
            self._history.commits(self._writer, slot, number)

    def closes(self) -> None:
        """Note that the cache has done all that it does for a write; what the store knows of as well has ended."""
        self._open.clear()
        now = get_runtime()
        assert isinstance(now.store, RedisStore)
        try:
            now.store.check_writable()  # an answer comes after what was posted before it
        except (StoreDown, StoreFull):
            return
        if not now.pending_ends and not now.store._transport._unconfirmed:  # noqa: SLF001 - only they know what is still unknown
            for slot, number in self._ending:
                self._history.ends(slot, number)
            self._ending.clear()

    # --- where it listens ---------------------------------------------------------------------------------------------
    def _listen(self) -> None:
        commit, record = connection._commit, outbox.record  # type: ignore[attr-defined]  # noqa: SLF001 - the moment itself

        def committing() -> None:
            commit()
            self._commits()

        def recording(alias: str, tags: Sequence[str]) -> None:
            record(alias, tags)
            for slot, number in self._open:
                if tags_of(self._rows, slot) & set(tags):
                    self._outboxed.add((slot, number))
                    alone = self._orders.is_cut_off(self._writer, or_was=UNTRIED)
                    self._history.outboxed(slot, number, alone=alone)

        def executing(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's
            done = execute(sql, params, many, context)
            if not connection.in_atomic_block and sql.startswith(CHANGES):  # and not the outbox
                self._commits()
            return done

        connection._commit = committing  # type: ignore[attr-defined]  # noqa: SLF001 - as above
        connection.execute_wrappers.append(executing)
        outbox.record = recording

    def _commits(self) -> None:
        writes, self._open = self._open, []
        for slot, number in writes:
            self._history.commits(self._writer, slot, number)
        self._ending += [one for one in writes if one not in self._outboxed]  # those end when the outbox is drained
        self._outboxed.clear()
        if writes:
            self._orders.meet(self._writer)


def note_draining(history: History, rows: Rows) -> None:
    """Note in the history what this process touches from the outbox."""
    touch = outbox.apply

    def touching(runtime: CacheRuntime, words: Sequence[str]) -> None:
        since = monotonic_ns()
        touch(runtime, words)
        for slot in range(SLOTS):
            if tags_of(rows, slot) & set(words):
                history.touched(slot, since)

    outbox.apply = touching


def tags_of(rows: Rows, slot: int) -> set[str]:
    """Return the tags of what is read of a row."""
    return {
        f"conversation:{rows.pk(slot)}",
        f"conversations:instance:{rows.instance(slot)}",
        "conversations",
        GLOBAL_TAG,
    }
