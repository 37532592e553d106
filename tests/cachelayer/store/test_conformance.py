"""Both stores say the same to the same questions, whatever is asked of them, but for what their versions are called.

So what is shown on the store of one process (`tests/cachelayer/interleavings`) holds for the one on a server.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from cachelayer import service
from cachelayer.entries import INTENT, VERSION
from cachelayer.namespaces import ROOT
from cachelayer.store.base import Store
from cachelayer.store.memory import MemoryStore
from cachelayer.store.redis import RedisStore
from tests.valkey import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

PREFIX = "conformance"
TAGS = ["instance:1", "instance:2", "contact:1", "instances", ROOT]
ENTRIES = ["instance:1@f", "instance:2@f", "contact:1@f"]
WRITES = [b"a" * VERSION, b"b" * VERSION, b"c" * VERSION]
HEAD, PAYLOAD = b"+1234", b"payload"
MINUTE = 60_000  # milliseconds

Ask = Callable[["Side"], Hashable]


class Side:
    """One store, and what it has called things so far."""

    def __init__(self, store: Store, heard: Callable[[], list[list[str]]]) -> None:
        self.store = store
        self.heard = heard
        self._versions: dict[str, list[bytes]] = {tag: [] for tag in TAGS}

    def seen(self) -> Hashable:
        """Return all that is there."""
        entries, states = self.store.read(ENTRIES, TAGS)
        return tuple(map(self.named, TAGS, states)), tuple(self._opened(one, states) for one in entries)

    def named(self, tag: str, state: bytes | None) -> Hashable:
        """Return a state as another store would say it: how many versions there were before, or who holds it."""
        if state is None:
            return None
        if state.startswith(INTENT):
            return frozenset(holder.partition(b":")[0] for holder in state[1:].split(b","))
        known = self._versions[tag]
        if state not in known:
            known.append(state)
        return known.index(state)

    def _opened(self, entry: bytes | None, states: list[bytes | None]) -> Hashable:
        """Return which of the tags' versions an entry depends on are those of now."""
        if entry is None:
            return None
        assert entry.startswith(HEAD)
        assert entry.endswith(PAYLOAD)
        seen = entry[len(HEAD) : -len(PAYLOAD)]
        return tuple(seen[place : place + VERSION] in states for place in range(0, len(seen), VERSION))


# --- what is asked ----------------------------------------------------------------------------------------------------
some_tags = st.lists(st.sampled_from(TAGS), min_size=1, unique=True)


@st.composite
def claims(draw: st.DrawFn) -> Ask:
    tags, lease = draw(some_tags), draw(st.sampled_from(["", "instance:1"]))

    def claim(side: Side) -> Hashable:
        states, is_ours = side.store.claim(tags, lease, MINUTE)
        return tuple(map(side.named, tags, states)), is_ours

    return claim


@st.composite
def fills(draw: st.DrawFn) -> Ask:
    entry, tags, lease = draw(st.sampled_from(ENTRIES)), draw(some_tags), draw(st.sampled_from(["", "instance:1"]))

    def fill(side: Side) -> None:
        states, _ = side.store.claim(tags, "", 0)
        versions = [state for state in states if state is not None and not state.startswith(INTENT)]
        side.store.fill([(entry, HEAD + b"".join(versions) + PAYLOAD, MINUTE)], lease)

    return fill


@st.composite
def changes(draw: st.DrawFn) -> Ask:
    what, write, tags = draw(st.sampled_from(["begin", "end"])), draw(st.sampled_from(WRITES)), draw(some_tags)
    return lambda side: getattr(side.store, what)(write, tags)


@st.composite
def puts(draw: st.DrawFn) -> Ask:
    entry, tags = draw(st.sampled_from(ENTRIES)), draw(some_tags)
    return lambda side: side.store.put(entry, HEAD, PAYLOAD, tags, MINUTE)


questions = st.one_of(
    claims(),
    fills(),
    changes(),
    changes(),
    puts(),
    some_tags.map(lambda tags: lambda side: side.store.touch(tags)),
    st.sampled_from(["instance:*", "*:1", "nothing"]).map(lambda glob: lambda side: side.store.remove(glob)),
    st.sampled_from(["*", "instance:?"]).map(lambda glob: lambda side: frozenset(side.store.names(glob))),
    st.just(lambda side: side.store.restore(quarantine=False)),
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
    there = RedisStore("default", PREFIX, "sender", service.namespaces, lambda _tags: None, lambda _what: None)
    channel = Channel(server, there.channel)

    def make() -> tuple[Side, Side]:
        for key in server.client.scan_iter(match=f"{PREFIX}:*"):
            server.client.delete(key)
        there.restore(quarantine=False)
        server.client.delete(f"{PREFIX}:t:{ROOT}")  # it was a strange server, and is in quarantine
        channel.heard()
        said: list[list[str]] = []
        here = MemoryStore(100, service.namespaces, listener=lambda words: said.append(list(words)))
        here.restore(quarantine=False)

        def heard() -> list[list[str]]:
            found = said.copy()
            said.clear()
            return found

        return Side(here, heard), Side(there, channel.heard)

    yield make
    channel._subscription.close()  # noqa: SLF001 - its own end


@given(st.data())
@profile(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_both_stores_say_the_same(stores: Callable[[], tuple[Side, Side]], draw: st.DataObject) -> None:
    here, there = stores()
    assert here.seen() == there.seen()
    for ask in draw.draw(st.lists(questions, max_size=25)):
        assert ask(here) == ask(there)
        assert here.seen() == there.seen()
        assert here.heard() == there.heard()
