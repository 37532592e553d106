"""Disables single steps of the protocol. Each one must cause stale reads that the soak test detects."""

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any

from cachelayer.protocol.entries import EntryKey
from cachelayer.read.reader import Reader
from cachelayer.stores import redis, scripts
from cachelayer.stores.base import StoreDown, StoreFull
from cachelayer.stores.redis import RedisStore
from cachelayer.stores.transport import Script


def skip_begin() -> None:
    """Do not store an intent before a write."""

    def begin(self: RedisStore, write_id: bytes, tags: Sequence[str]) -> None:
        """Do nothing."""

    RedisStore.begin = begin  # type: ignore[method-assign]


def ignore_other_holders() -> None:
    """Let `end` ignore other writes that hold the same tag."""
    _replace_script("_END", scripts.END, "if #others > 0 then", "if false then")


def accept_restarted_server() -> None:
    """Do not detect that the server has restarted."""
    _replace_script("_RESTORE", scripts.RESTORE, "redis.call('GET', KEYS[1]) ~= run", "false")


def claim_versions_late() -> None:
    """Read the versions of the tags after loading the value instead of before."""

    def load_and_fill(self: Reader[Any], key: Hashable, entry_key: EntryKey, load: Callable[[], Any]) -> Any:
        runtime = self._runtime
        sequence, value = runtime.local.sequence(), load()
        with suppress(StoreDown, StoreFull):
            states, _ = runtime.store.claim_versions(entry_key.all_tags, "", 0)
            self._fill([(key, entry_key, states, value)], sequence)
        return value

    Reader._load_and_fill = load_and_fill  # type: ignore[method-assign]  # noqa: SLF001 - as above


def _replace_script(name: str, source: str, old: str, new: str) -> None:
    assert source.count(old) == 1
    script = Script(source.replace(old, new))
    all_scripts = (*redis._SCRIPTS, script)  # noqa: SLF001 - as above
    for attribute, value in ((name, script), ("_SCRIPTS", all_scripts)):
        setattr(redis, attribute, value)


SABOTAGES: dict[str, Callable[[], None]] = {
    "begin": skip_begin,
    "holders": ignore_other_holders,
    "strange": accept_restarted_server,
    "late": claim_versions_late,
}
# Part of the name of the faults that the step protects against.
FAULTS = {"begin": "COMMIT and end", "holders": "COMMIT and end", "strange": "unseen", "late": "removed"}
