"""The mutants: the real code with one step of the protocol taken out, at its narrowest place."""

from collections.abc import Callable, Hashable, Sequence
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
from cachelayer.write import outbox, transactions
from tests.cachelayer.interleavings.schedule import note
from tests.cachelayer.interleavings.server import Reached, Server


@dataclass(frozen=True)
class Mutant:
    """A step that is left out.

    Attributes:
        leave_out: patches it away.
        scenario: in which that shows.
    """

    leave_out: Callable[[pytest.MonkeyPatch], None]
    scenario: str


def _no_intent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reached, "begin", lambda _self, _write, _tags: None)


def _end_ignores_other_holders(patch: pytest.MonkeyPatch) -> None:
    def end(self: Any, _write: bytes, tags: Sequence[str]) -> None:
        for tag in tags:
            self._intents.pop(tag, None)
            self._renew(tag)

    patch.setattr(MemoryStore, "end", end)


def _version_after_the_load(patch: pytest.MonkeyPatch) -> None:
    def lead(self: Any, key: Hashable, wanted: EntryKey, load: Callable[[], Any]) -> Any:
        mark, value = self._runtime.local.sequence(), load()
        states, _ = self._runtime.store.claim_versions(wanted.all_tags, "", 0)
        self._fill([(key, wanted, states, value)], mark)
        return value

    patch.setattr(Reader, "_load_and_fill", lead)


def _no_namespace(patch: pytest.MonkeyPatch) -> None:
    def wanted(self: Any, pk: int) -> EntryKey:
        tag = self.namespace.row_tag(pk)
        return EntryKey(tag, (tag, GLOBAL_TAG), self.namespace.insert_tag)

    patch.setattr(managers.Binding, "entry_key", wanted)


def _no_births(patch: pytest.MonkeyPatch) -> None:
    def wanted(self: Any, pk: int) -> EntryKey:
        tag = self.namespace.row_tag(pk)
        return EntryKey(tag, (tag, self.namespace.name, GLOBAL_TAG))

    patch.setattr(managers.Binding, "entry_key", wanted)


def _no_local_guard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LocalCache, "_is_touched", lambda _self, _tags, _mark: False)


def _no_outbox(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outbox, "record", lambda _alias, _tags: None)


def _no_vouching(patch: pytest.MonkeyPatch) -> None:
    def read(self: Any, entries: Sequence[str], tags: Sequence[str]) -> tuple[States, States]:
        self._reach("MGET")
        found, states = self._server.read(entries, tags)
        note((tuple(found), tuple(states)))
        return found, states

    patch.setattr(Reached, "read", read)


def _no_quarantine(patch: pytest.MonkeyPatch) -> None:
    def restore(self: Any, *, quarantine: bool) -> bool:  # noqa: ARG001 - what is left out
        self.vouched = self.run
        return MemoryStore.reinitialize(self, quarantine=False)

    patch.setattr(Server, "reinitialize", restore)


def _fills_in_a_transaction(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(transactions, "reads_committed_data", lambda _alias: True)


MUTANTS = {
    "no intent": Mutant(_no_intent, "two_writers_two_readers"),
    "end takes other holders away": Mutant(_end_ignores_other_holders, "two_writers_two_readers"),
    "the version is taken after the load": Mutant(_version_after_the_load, "two_writers_two_readers"),
    "no namespace among the tags": Mutant(_no_namespace, "a_bulk_write"),
    "no births among the tags": Mutant(_no_births, "a_birth"),
    "no guard of the local tier": Mutant(_no_local_guard, "another_process"),
    "no outbox": Mutant(_no_outbox, "an_outage_of_another"),
    "an emptied store is not noticed": Mutant(_no_vouching, "an_emptied_store"),
    "no quarantine": Mutant(_no_quarantine, "a_restarted_store"),
    "fills in a transaction": Mutant(_fills_in_a_transaction, "a_snapshot"),
}
