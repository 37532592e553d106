"""Records a writer's commits in the history at the moment of the commit.

The recorder patches the writer's database connection. A transaction counts as committed when its COMMIT returns, and a
statement in autocommit mode when the statement returns. At that moment the cache's `end` has not started yet, so the
recorder also executes commands such as `kill_after_commit`.
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
from tests.soak.commands import Commands
from tests.soak.history import History
from tests.soak.rows import SLOTS, Rows

TABLE = connection.ops.quote_name(Conversation._meta.db_table)  # noqa: SLF001 - Django documents _meta
CHANGES = tuple(f"{verb} {TABLE}" for verb in ("UPDATE", "INSERT INTO", "DELETE FROM"))
RETRY_DELAY = 0.2  # seconds; a little longer than the store's circuit breaker stays open

Write = tuple[int, int]  # (slot of a row, number of a write)


class CommitRecorder:
    """Records the commits of one writer. Creating a recorder patches the current process's database connection."""

    def __init__(self, history: History, rows: Rows, commands: Commands, writer: int) -> None:
        self._history = history
        self._rows = rows
        self._commands = commands
        self._writer = writer
        self._open: list[Write] = []
        self._outboxed: set[Write] = set()
        self._ending: list[Write] = []
        self._patch_connection()

    def start(self, writes: Sequence[Write]) -> None:
        """Record in the history that some writes start; call this before the cache's `begin`."""
        for slot, number in writes:
            self._history.record_start(self._writer, slot, number)
        self._open = list(writes)

    def record_existing(self, slot: int, number: int) -> None:
        """Record a write number found in the database, because a killed writer could not record its last commit."""
        if number > self._history.last_committed(slot):
            self._history.record_commit(self._writer, slot, number)

    def finish(self) -> None:
        """Record the end of the committed writes, if the store has processed all requests of this writer."""
        self._open.clear()
        current = get_runtime()
        assert isinstance(current.store, RedisStore)
        try:
            current.check_store()  # the reply proves that earlier requests are processed
        except (StoreDown, StoreFull):
            return
        transport = current.store._transport  # noqa: SLF001 - has no public name
        if not (current.pending_ends or transport._posted or transport._unconfirmed):  # noqa: SLF001 - likewise
            for slot, number in self._ending:
                self._history.record_end(slot, number)
            self._ending.clear()

    # --- patches ------------------------------------------------------------------------------------------------------
    def _patch_connection(self) -> None:
        commit, record = connection._commit, outbox.record  # type: ignore[attr-defined]  # noqa: SLF001 - _commit sends COMMIT

        def commit_and_record() -> None:
            commit()
            self._record_commits()

        def record_in_outbox(alias: str, tags: Sequence[str]) -> None:
            record(alias, tags)
            for slot, number in self._open:
                if row_tags(self._rows, slot) & set(tags):
                    self._outboxed.add((slot, number))
                    is_partitioned = self._commands.is_partitioned(self._writer, within_last=RETRY_DELAY)
                    self._history.record_outboxed(slot, number, is_partitioned=is_partitioned)

        def execute_and_record(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django requires this signature
            result = execute(sql, params, many, context)
            if not connection.in_atomic_block and sql.startswith(CHANGES):  # an INSERT into the outbox does not count
                self._record_commits()
            return result

        connection._commit = commit_and_record  # type: ignore[attr-defined]  # noqa: SLF001 - _commit sends COMMIT
        connection.execute_wrappers.append(execute_and_record)
        outbox.record = record_in_outbox

    def _record_commits(self) -> None:
        writes, self._open = self._open, []
        for slot, number in writes:
            self._history.record_commit(self._writer, slot, number)
        self._ending += [
            write for write in writes if write not in self._outboxed
        ]  # a write in the outbox ends when the outbox is drained
        self._outboxed.clear()
        if writes:
            self._commands.execute_after_commit(self._writer)


def record_draining(history: History, rows: Rows) -> None:
    """Patch this process so that it records in the history which rows it invalidates when it drains the outbox."""
    apply = outbox.apply

    def apply_and_record(runtime: CacheRuntime, words: Sequence[str]) -> None:
        before = monotonic_ns()
        apply(runtime, words)
        for slot in range(SLOTS):
            if row_tags(rows, slot) & set(words):
                history.record_applied(slot, before)

    outbox.apply = apply_and_record


def row_tags(rows: Rows, slot: int) -> set[str]:
    """Return the tags of all cache entries that contain the row of a slot."""
    return {
        f"conversation:{rows.pk(slot)}",
        f"conversations:instance:{rows.instance(slot)}",
        "conversations",
        GLOBAL_TAG,
    }
