"""Steps of the protocol, to be left out by name: each makes stale reads, and the soak has to find them."""

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any

from cachelayer.protocol.entries import EntryKey
from cachelayer.read.reader import Reader
from cachelayer.stores import redis, scripts
from cachelayer.stores.base import StoreDown, StoreFull
from cachelayer.stores.redis import RedisStore
from cachelayer.stores.transport import Script


def begin() -> None:
    """Announce nothing before a write."""

    def silent(self: RedisStore, write_id: bytes, tags: Sequence[str]) -> None:
        """Do nothing."""

    RedisStore.begin = silent  # type: ignore[method-assign]


def holders() -> None:
    """Let `end` ignore who else holds a tag."""
    _rewrite("_END", scripts.END, "if #others > 0 then", "if false then")


def strange() -> None:
    """Take a server that was started anew for the one that it was."""
    _rewrite("_RESTORE", scripts.RESTORE, "redis.call('GET', KEYS[1]) ~= run", "false")


def late() -> None:
    """Take the versions after the loading, as if they had been there before it."""

    def lead(self: Any, key: Hashable, entry_key: EntryKey, load: Callable[[], Any]) -> Any:
        mark, value = self._runtime.local.sequence(), load()
        with suppress(StoreDown, StoreFull):
            states, _ = self._runtime.store.claim_versions(entry_key.all_tags, "", 0)
            self._fill([(key, entry_key, states, value)], mark)
        return value

    Reader._load_and_fill = lead  # type: ignore[method-assign]  # noqa: SLF001 - the step itself


def _rewrite(name: str, source: str, old: str, new: str) -> None:
    assert source.count(old) == 1
    script = Script(source.replace(old, new))
    known = (*redis._SCRIPTS, script)  # noqa: SLF001 - as above
    for attribute, value in ((name, script), ("_SCRIPTS", known)):
        setattr(redis, attribute, value)


SABOTAGES: dict[str, Callable[[], None]] = {one.__name__: one for one in (begin, holders, strange, late)}
# What is in the names of the faults that each of them is there for.
AGAINST = {"begin": "COMMIT and end", "holders": "COMMIT and end", "strange": "unseen", "late": "removed"}
