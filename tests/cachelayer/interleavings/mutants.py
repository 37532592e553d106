"""The mutants: each removes one step of the cache protocol from the real code by a patch as small as possible."""

from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest

from cachelayer.orm import managers
from cachelayer.protocol.entries import EntryKey
from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.read.reader import Reader
from cachelayer.runtime.local_cache import LocalCache
from cachelayer.stores.base import States
from cachelayer.stores.memory import MemoryStore
from cachelayer.write import intents, outbox, transactions
from tests.cachelayer.interleavings.oracle import StaleRead
from tests.cachelayer.interleavings.scheduler import observe
from tests.cachelayer.interleavings.server import Server, StoreClient
from tests.cachelayer.interleavings.system import LeakedIntent


@dataclass(frozen=True)
class Mutant:
    """A mutant of the cache code, in which one step of the cache protocol is left out.

    Attributes:
        apply: patches the step out of the cache code.
        scenario: the name of a scenario in which some check fails without the step.
        error: the check that fails, usually because a read is stale.
    """

    apply: Callable[[pytest.MonkeyPatch], None]
    scenario: str
    error: type[AssertionError] = StaleRead


def _no_intent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StoreClient, "begin", lambda _self, _write, _tags: None)


def _end_removes_other_holders(patch: pytest.MonkeyPatch) -> None:
    def end(self: Any, _write: bytes, tags: Sequence[str], **_options: bool) -> None:
        for tag in tags:
            self._intents.pop(tag, None)
            self._renew(tag)

    patch.setattr(MemoryStore, "end", end)


def _version_after_the_load(patch: pytest.MonkeyPatch) -> None:
    def load_and_fill(self: Any, key: Hashable, wanted: EntryKey, load: Callable[[], Any]) -> Any:
        sequence, value = self._runtime.local.sequence(), load()
        states, _ = self._runtime.store.claim_versions(wanted.all_tags, "", 0)
        self._entries.fill([(key, wanted, states, value)], sequence)
        return value

    patch.setattr(Reader, "_load_and_fill", load_and_fill)


def _no_namespace_tag(patch: pytest.MonkeyPatch) -> None:
    def entry_key(self: Any, pk: int) -> EntryKey:
        tag = self.namespace.row_tag(pk)
        return EntryKey(tag, (tag, GLOBAL_TAG), self.namespace.insert_tag)

    patch.setattr(managers.Binding, "entry_key", entry_key)


def _no_insert_tag(patch: pytest.MonkeyPatch) -> None:
    def entry_key(self: Any, pk: int) -> EntryKey:
        tag = self.namespace.row_tag(pk)
        return EntryKey(tag, (tag, self.namespace.name, GLOBAL_TAG))

    patch.setattr(managers.Binding, "entry_key", entry_key)


def _no_touch_check_in_the_local_cache(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LocalCache, "_is_touched", lambda _self, _tags, _sequence: False)


def _loaders_use_the_local_cache(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LocalCache, "loading", lambda _self: nullcontext())


def _rollback_ends_no_intent(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(transactions.TransactionHook, "__del__")


def _no_outbox(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outbox, "record", lambda _alias, _tags: None)


def _emptied_store_is_not_detected(patch: pytest.MonkeyPatch) -> None:
    def read(self: Any, entries: Sequence[str], tags: Sequence[str]) -> tuple[States, States]:
        self._send("MGET")
        found, states = self._server.read(entries, tags)
        observe((tuple(found), tuple(states)))
        return found, states

    patch.setattr(StoreClient, "read", read)


def _no_quarantine(patch: pytest.MonkeyPatch) -> None:
    def reinitialize(self: Any, *, quarantine: bool) -> bool:  # noqa: ARG001 - the mutant ignores `quarantine`
        self.initialized_run = self.run_id
        return MemoryStore.reinitialize(self, quarantine=False)

    patch.setattr(Server, "reinitialize", reinitialize)


def _unannounced_write_does_not_wait(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(intents, "UNANNOUNCED_S", 0.0)


def _fill_inside_a_transaction(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(transactions, "reads_committed_data", lambda _alias: True)


MUTANTS = {
    "no intent": Mutant(_no_intent, "two_writers_and_two_readers"),
    "end removes other holders": Mutant(_end_removes_other_holders, "two_writers_and_two_readers"),
    "the version is claimed after the load": Mutant(_version_after_the_load, "two_writers_and_two_readers"),
    "no namespace tag": Mutant(_no_namespace_tag, "a_bulk_update"),
    "no insert tag": Mutant(_no_insert_tag, "an_insert"),
    "no touch check in the local cache": Mutant(
        _no_touch_check_in_the_local_cache, "a_local_cache_and_a_writer_in_another_process"
    ),
    "loaders use the local cache": Mutant(_loaders_use_the_local_cache, "a_value_computed_from_a_local_entry"),
    "a rollback ends no intent": Mutant(_rollback_ends_no_intent, "a_commit_and_a_rollback", LeakedIntent),
    "no outbox": Mutant(_no_outbox, "an_outage_of_the_writing_process"),
    "an emptied store is not detected": Mutant(_emptied_store_is_not_detected, "an_emptied_store"),
    "no quarantine": Mutant(_no_quarantine, "a_restarted_store"),
    "an unannounced write does not wait": Mutant(_unannounced_write_does_not_wait, "a_store_that_answers_only_reads"),
    "a fill inside a transaction": Mutant(_fill_inside_a_transaction, "a_read_in_a_snapshot"),
}
