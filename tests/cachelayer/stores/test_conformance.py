"""Both stores say the same to the same questions, whatever is asked of them, but for what their versions are called.

So what is shown on the store of one process (`tests/cachelayer/interleavings`) holds for the one on a server, too. That
the comparison would tell is shown by scripts that leave a step out.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from cachelayer.protocol.entries import INTENT_PREFIX, VERSION_SIZE
from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.runtime.runtime import runtime
from cachelayer.stores import redis
from cachelayer.stores.base import Store
from cachelayer.stores.memory import MemoryStore
from cachelayer.stores.redis import RedisStore
from cachelayer.stores.transport import Script
from tests.valkey import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

PREFIX = "conformance"
TAGS = ["instance:1", "instance:2", "contact:1", "instances", GLOBAL_TAG]
ENTRIES = ["instance:1@f", "instance:2@f", "contact:1@f"]
WRITES = [b"a" * VERSION_SIZE, b"b" * VERSION_SIZE, b"c" * VERSION_SIZE]
HEAD, PAYLOAD = b"+1234", b"payload"
MINUTE = 60_000  # milliseconds

Ask = Callable[["Side"], Hashable]


class Side:
    """One store, and what it has called things so far."""

    def __init__(self, store: Store, heard: Callable[[], list[list[str]]]) -> None:
        self.store = store
        self.heard = heard
        self.tags: dict[str, list[str]] = {}  # that entries depend on
        self._versions: dict[str, list[bytes]] = {tag: [] for tag in TAGS}

    def seen(self) -> Hashable:
        """Return all that is there."""
        entries, states = self.store.read(ENTRIES, TAGS)
        return tuple(map(self.named, TAGS, states)), tuple(map(self._opened, ENTRIES, entries, [states] * len(ENTRIES)))

    def named(self, tag: str, state: bytes | None) -> Hashable:
        """Return a state as another store would say it: how many versions there were before, or who holds it."""
        if state is None:
            return None
        if state.startswith(INTENT_PREFIX):
            return frozenset(holder.partition(b":")[0] for holder in state[1:].split(b","))
        known = self._versions[tag]
        if state not in known:
            known.append(state)
        return known.index(state)

    def _opened(self, name: str, entry: bytes | None, states: list[bytes | None]) -> Hashable:
        """Return of which of its tags an entry has the version of now."""
        if entry is None:
            return None
        assert entry.startswith(HEAD)
        assert entry.endswith(PAYLOAD)
        seen, now = entry[len(HEAD) : -len(PAYLOAD)], dict(zip(TAGS, states, strict=True))
        versions = [seen[place : place + VERSION_SIZE] for place in range(0, len(seen), VERSION_SIZE)]
        assert len(seen) == VERSION_SIZE * len(self.tags[name])
        return tuple(now[tag] == version for tag, version in zip(self.tags[name], versions, strict=True))


# --- what is asked ----------------------------------------------------------------------------------------------------
some_tags = st.lists(st.sampled_from(TAGS), min_size=1, unique=True)


@st.composite
def claims(draw: st.DrawFn) -> Ask:
    tags, lease = draw(some_tags), draw(st.sampled_from(["", "instance:1"]))

    def claim(side: Side) -> Hashable:
        states, is_ours = side.store.claim_versions(tags, lease, MINUTE if lease else 0)
        return tuple(map(side.named, tags, states)), is_ours

    return claim


@st.composite
def fills(draw: st.DrawFn) -> Ask:
    entry, tags, lease = draw(st.sampled_from(ENTRIES)), draw(some_tags), draw(st.sampled_from(["", "instance:1"]))

    def fill(side: Side) -> None:
        states, _ = side.store.claim_versions(tags, "", 0)
        found = {
            tag: state for tag, state in zip(tags, states, strict=True) if state and not state.startswith(INTENT_PREFIX)
        }
        side.tags[entry] = list(found)
        side.store.fill([(entry, HEAD + b"".join(found.values()) + PAYLOAD, MINUTE)], lease)

    return fill


@st.composite
def changes(draw: st.DrawFn) -> Ask:
    what, write, tags = draw(st.sampled_from(["begin", "end"])), draw(st.sampled_from(WRITES)), draw(some_tags)
    return lambda side: getattr(side.store, what)(write, tags)


@st.composite
def puts(draw: st.DrawFn) -> Ask:
    entry, tags = draw(st.sampled_from(ENTRIES)), draw(some_tags)

    def put(side: Side) -> None:
        side.tags[entry] = tags
        side.store.put(entry, HEAD, PAYLOAD, tags, MINUTE)

    return put


@st.composite
def removals(draw: st.DrawFn) -> Ask:
    glob = draw(st.sampled_from(["instance:*", "*:1", "nothing"]))

    def remove(side: Side) -> int:
        removed = side.store.remove(glob)
        side.heard()  # a server also says the names of tags that are held, which stay as they are
        return removed

    return remove


questions = st.one_of(
    claims(),
    fills(),
    changes(),
    changes(),
    puts(),
    some_tags.map(lambda tags: lambda side: side.store.touch(tags)),
    removals(),
    st.sampled_from(["*", "instance:?"]).map(lambda glob: lambda side: frozenset(side.store.entry_names(glob))),
    st.just(lambda side: side.store.reinitialize(quarantine=False)),
)


# --- the two of them --------------------------------------------------------------------------------------------------
class Channel:
    """All that is announced on a server."""

    def __init__(self, server: Valkey, name: str) -> None:
        self._client = server.client
        self._name = name
        self._subscription: Any = self._client.pubsub(ignore_subscribe_messages=True)
        self._subscription.subscribe(name)

    def heard(self) -> list[list[str]]:
        """Return what was announced since this was asked last."""
        self._client.publish(self._name, "that is all")
        words: list[list[str]] = []
        while not words or words[-1] != ["that is all"]:
            message = self._subscription.get_message(timeout=1.0)
            if message is not None:
                words.append(message["data"].decode().split("\n"))
        return [said[1:] for said in words[:-1]]


@pytest.fixture
def stores(server: Valkey) -> Iterator[Callable[[], tuple[Side, Side]]]:
    """Makes both, with nothing in them."""
    there = RedisStore("default", PREFIX, "sender", runtime.namespaces, lambda _tags: None, lambda _what: None)
    channel = Channel(server, there.channel)

    def make() -> tuple[Side, Side]:
        for key in server.client.scan_iter(match=f"{PREFIX}:*"):
            server.client.delete(key)
        there.reinitialize(quarantine=False)
        server.client.delete(f"{PREFIX}:t:{GLOBAL_TAG}")  # it was a strange server, and is in quarantine
        channel.heard()
        said: list[list[str]] = []
        here = MemoryStore(100, runtime.namespaces, on_touch=lambda words: said.append(list(words)))
        here.reinitialize(quarantine=False)

        def heard() -> list[list[str]]:
            found = said.copy()
            said.clear()
            return found

        return Side(here, heard), Side(there, channel.heard)

    yield make
    channel._subscription.close()  # noqa: SLF001 - its own end


questioned = given(draw=st.data())
thorough = profile(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)


def compare(stores: Callable[[], tuple[Side, Side]], draw: st.DataObject) -> None:
    here, there = stores()
    assert here.seen() == there.seen()
    for ask in draw.draw(st.lists(questions, min_size=5, max_size=25)):
        assert ask(here) == ask(there)
        assert here.seen() == there.seen()
        assert here.heard() == there.heard()


@questioned
@thorough
def test_both_stores_say_the_same(stores: Callable[[], tuple[Side, Side]], draw: st.DataObject) -> None:
    compare(stores, draw)


@questioned
@profile(thorough, max_examples=2000, phases=[Phase.generate], database=None, report_multiple_bugs=False)
def compare_until_they_differ(stores: Callable[[], tuple[Side, Side]], draw: st.DataObject) -> None:
    compare(stores, draw)


# A script, and what of it is replaced by what.
MUTANTS = {
    "begin drops other holders": ("_BEGIN", "alive = without(alive, id)\n", "alive = {}\n"),
    "end drops other holders": ("_END", "if #others > 0 then", "if false then"),
    "end says nothing of what was lost": ("_END", "if lost > 0 then", "if false then"),
    "touch takes tags from their holders": ("_TOUCH", "if #holders(redis.call('GET', key)) == 0 then", "if true then"),
    "put stores what is being written": ("_PUT", "if held then", "if false then"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_script_that_does_less_is_found_out(
    stores: Callable[[], tuple[Side, Side]], monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    name, old, new = MUTANTS[mutant]
    script: Script = getattr(redis, name)
    assert script.source.count(old) == 1
    changed = Script(script.source.replace(old, new))
    monkeypatch.setattr(script, "source", changed.source)
    monkeypatch.setattr(script, "digest", changed.digest)
    with pytest.raises(AssertionError):
        compare_until_they_differ(stores=stores)
