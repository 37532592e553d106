"""Disables single steps of the cache protocol. Each disabled step must cause stale reads that the soak test detects."""

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any

from cachelayer.protocol.entries import EntryKey
from cachelayer.read.reader import Reader
from cachelayer.stores import redis, scripts
from cachelayer.stores.base import StoreDown, StoreFull
from cachelayer.stores.redis import RedisStore
from cachelayer.stores.transport import Script
from cachelayer.write import intents


def skip_begin() -> None:
    """Patch the store so that a write stores no intent before it starts."""

    def begin(self: RedisStore, write_id: bytes, tags: Sequence[str]) -> None:
        """Do nothing, that is, store no intent."""

    RedisStore.begin = begin  # type: ignore[method-assign]


def ignore_other_holders() -> None:
    """Patch the Lua script of `end` so that it ignores the intents of other running writes on the same tag."""
    _replace_script("_END", scripts.END, "if #others > 0 then", "if false then")


def accept_restarted_server() -> None:
    """Patch the Lua script `RESTORE` so that it does not detect that Valkey has restarted."""
    _replace_script("_RESTORE", scripts.RESTORE, "redis.call('GET', KEYS[1]) ~= run", "false")


def claim_versions_late() -> None:
    """Patch the cache's reader so that it reads the versions of an entry's tags after it has loaded the value."""

    def load_and_fill(self: Reader[Any], key: Hashable, entry_key: EntryKey, load: Callable[[], Any]) -> Any:
        runtime = self._runtime
        sequence, value = runtime.local.sequence(), load()
        with suppress(StoreDown, StoreFull):
            states, _ = runtime.store.claim_versions(entry_key.all_tags, "", 0)
            self._entries.fill([(key, entry_key, states, value)], sequence)
        return value

    Reader._load_and_fill = load_and_fill  # type: ignore[method-assign]  # noqa: SLF001 - sabotage patches this method


def skip_wait_for_readers() -> None:
    """Patch the cache so that a write which the server does not accept goes on while other processes still read."""
    intents.UNANNOUNCED_S = 0.0


def _replace_script(name: str, source: str, old: str, new: str) -> None:
    assert source.count(old) == 1
    script = Script(source.replace(old, new))
    all_scripts = (*redis._SCRIPTS, script)  # noqa: SLF001 - the patched script must be registered
    for attribute, value in ((name, script), ("_SCRIPTS", all_scripts)):
        setattr(redis, attribute, value)


SABOTAGES: dict[str, Callable[[], None]] = {
    "begin": skip_begin,
    "holders": ignore_other_holders,
    "strange": accept_restarted_server,
    "late": claim_versions_late,
    "wait": skip_wait_for_readers,
}
# For each step, a part of the names of the faults that the step protects against.
FAULTS = {
    "begin": "COMMIT and end",
    "holders": "COMMIT and end",
    "strange": "unseen",
    "late": "removed",
    "wait": "all writes",
}
