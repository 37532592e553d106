"""`MemoryStore` and `RedisStore` behave alike: the same operations give the same results, except version values.

So the properties that `tests/cachelayer/interleavings` checks with a `MemoryStore` also hold for a `RedisStore`. The
tests with mutants of the Lua scripts show that the comparison finds differences.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from cachelayer.protocol import answers
from cachelayer.protocol.entries import INTENT_PREFIX, VERSION_SIZE, EntryKey, Kind, pack
from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.runtime.runtime import runtime
from cachelayer.stores import redis
from cachelayer.stores.base import Store
from cachelayer.stores.memory import MemoryStore
from cachelayer.stores.redis import RedisStore
from cachelayer.stores.transport import Script
from tests.effort import effort
from tests.valkey import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

PREFIX = "conformance"
TAGS = ["instance:1", "instance:2", "contact:1", "instances", GLOBAL_TAG]
ANSWER = "instances:answer@f"
ENTRIES = ["instance:1@f", "instance:2@f", "contact:1@f"]
WRITES = [b"a" * VERSION_SIZE, b"b" * VERSION_SIZE, b"c" * VERSION_SIZE]
MINUTE = 60_000  # in milliseconds


def body(tags: Sequence[str]) -> bytes:
    """Return the body of an entry that depends on these tags."""
    return pack(EntryKey("", tuple(tags)), Kind.PRESENT, 1, b"payload")


Operation = Callable[["Side"], Hashable]


class Side:
    """One of the two stores, with all versions that the store has used for each tag.

    Args:
        store: the `MemoryStore` or the `RedisStore`.
        take_announced: returns the invalidation messages that the store has sent since the last call.
    """

    def __init__(self, store: Store, take_announced: Callable[[], list[list[str]]]) -> None:
        self.store = store
        self.take_announced = take_announced
        self.tags: dict[str, list[str]] = {}  # for each entry name, the tags on which the entry depends
        self._versions: dict[str, list[bytes]] = {tag: [] for tag in TAGS}

    def contents(self) -> Hashable:
        """Return all entries and tag states in a form that is equal for both stores."""
        entries, states = self.store.read(ENTRIES, TAGS)
        return tuple(map(self.describe_state, TAGS, states)), tuple(
            map(self._describe_entry, ENTRIES, entries, [states] * len(ENTRIES))
        )

    def describe_state(self, tag: str, state: bytes | None) -> Hashable:
        """Return the number of versions that a tag had before the given version, or the writes that hold the tag."""
        if state is None:
            return None
        if state.startswith(INTENT_PREFIX):
            return frozenset(holder.partition(b":")[0] for holder in state[1:].split(b","))
        versions = self._versions[tag]
        if state not in versions:
            versions.append(state)
        return versions.index(state)

    def _describe_entry(self, name: str, entry: bytes | None, states: list[bytes | None]) -> Hashable:
        """Return for each tag of an entry whether the entry contains the current version of the tag."""
        if entry is None:
            return None
        joined, current = entry.removeprefix(body(self.tags[name])), dict(zip(TAGS, states, strict=True))
        assert len(joined) < len(entry)
        versions = [joined[start : start + VERSION_SIZE] for start in range(0, len(joined), VERSION_SIZE)]
        assert len(joined) == VERSION_SIZE * len(self.tags[name])
        return tuple(current[tag] == version for tag, version in zip(self.tags[name], versions, strict=True))


# --- operations -------------------------------------------------------------------------------------------------------
some_tags = st.lists(st.sampled_from(TAGS), min_size=1, unique=True)


@st.composite
def claims(draw: st.DrawFn) -> Operation:
    tags, lease = draw(some_tags), draw(st.sampled_from(["", "instance:1"]))

    def claim(side: Side) -> Hashable:
        states, is_acquired = side.store.claim_versions(tags, lease, MINUTE if lease else 0)
        return tuple(map(side.describe_state, tags, states)), is_acquired

    return claim


@st.composite
def fills(draw: st.DrawFn) -> Operation:
    entry, tags, lease = draw(st.sampled_from(ENTRIES)), draw(some_tags), draw(st.sampled_from(["", "instance:1"]))

    def fill(side: Side) -> None:
        states, _ = side.store.claim_versions(tags, "", 0)
        versions = {
            tag: state for tag, state in zip(tags, states, strict=True) if state and not state.startswith(INTENT_PREFIX)
        }
        side.tags[entry] = list(versions)
        side.store.fill([(entry, body(list(versions)) + b"".join(versions.values()), MINUTE)], lease)

    return fill


@st.composite
def answer_fills(draw: st.DrawFn) -> Operation:
    tags, content = draw(some_tags), draw(st.sampled_from([b"first", b"second"]))

    def fill(side: Side) -> None:
        states, _ = side.store.claim_versions(tags, "", 0)
        versions = {
            tag: state for tag, state in zip(tags, states, strict=True) if state and not state.startswith(INTENT_PREFIX)
        }
        if versions:
            head = answers.pack_head(ANSWER, versions, answers.etag_of(content), b"notes", 1)
            side.store.fill_answer(ANSWER, head, content, MINUTE)

    return fill


@st.composite
def answer_reads(draw: st.DrawFn) -> Operation:
    tags, known = draw(some_tags), draw(st.sampled_from(["", answers.etag_of(b"first")]))

    def read(side: Side) -> Hashable:
        head, content, states = side.store.read_answer(ANSWER, known, tags)
        found = answers.unpack_head(head) if head else None
        described = (tuple(found.tags), found.etag, found.notes) if found else None
        return described, content, tuple(map(side.describe_state, tags, states))

    return read


@st.composite
def writes(draw: st.DrawFn) -> Operation:
    method, write, tags = draw(st.sampled_from(["begin", "end"])), draw(st.sampled_from(WRITES)), draw(some_tags)
    return lambda side: getattr(side.store, method)(write, tags)


@st.composite
def puts(draw: st.DrawFn) -> Operation:
    entry, tags = draw(st.sampled_from(ENTRIES)), draw(some_tags)

    def put(side: Side) -> None:
        side.tags[entry] = tags
        side.store.put(entry, body(tags), tags, MINUTE)

    return put


@st.composite
def removals(draw: st.DrawFn) -> Operation:
    glob = draw(st.sampled_from(["instance:*", "*:1", "nothing"]))

    def remove(side: Side) -> int:
        removed = side.store.remove(glob)
        side.take_announced()  # only RedisStore also announces tags that have intents
        return removed

    return remove


operations = st.one_of(
    claims(),
    fills(),
    writes(),
    writes(),
    puts(),
    answer_fills(),
    answer_reads(),
    answer_reads(),
    some_tags.map(lambda tags: lambda side: side.store.touch(tags)),
    removals(),
    st.sampled_from(["*", "instance:?"]).map(lambda glob: lambda side: frozenset(side.store.entry_names(glob))),
    st.just(lambda side: side.store.reinitialize(quarantine=False)),
)


# --- both stores ------------------------------------------------------------------------------------------------------
class Channel:
    """Receives the invalidation messages that a `RedisStore` publishes."""

    def __init__(self, valkey_server: Valkey, name: str) -> None:
        self._client = valkey_server.client
        self._name = name
        self._subscription: Any = self._client.pubsub(ignore_subscribe_messages=True)
        self._subscription.subscribe(name)

    def take_announced(self) -> list[list[str]]:
        """Return the words of each invalidation message since the last call."""
        self._client.publish(self._name, "end of messages")
        messages: list[list[str]] = []
        while not messages or messages[-1] != ["end of messages"]:
            message = self._subscription.get_message(timeout=1.0)
            if message is not None:
                messages.append(message["data"].decode().split("\n"))
        return [words[1:] for words in messages[:-1]]


@pytest.fixture
def stores(valkey_server: Valkey) -> Iterator[Callable[[], tuple[Side, Side]]]:
    """Return a function that makes an empty `MemoryStore` and an empty `RedisStore`."""
    shared = RedisStore(
        "default", PREFIX, "sender", runtime.namespaces, [b"key"], lambda _tags: None, lambda _event: None
    )
    channel = Channel(valkey_server, shared.channel)

    def make() -> tuple[Side, Side]:
        for key in valkey_server.client.scan_iter(match=f"{PREFIX}:*"):
            valkey_server.client.delete(key)
        shared.reinitialize(quarantine=False)
        valkey_server.client.delete(f"{PREFIX}:t:{GLOBAL_TAG}")  # ends the quarantine of the new server
        channel.take_announced()
        announced: list[list[str]] = []
        memory = MemoryStore(2**20, runtime.namespaces, on_touch=lambda words: announced.append(list(words)))
        memory.reinitialize(quarantine=False)

        def take_announced() -> list[list[str]]:
            taken = announced.copy()
            announced.clear()
            return taken

        return Side(memory, take_announced), Side(shared, channel.take_announced)

    yield make
    channel._subscription.close()  # noqa: SLF001 - the fixture has opened the subscription


with_data = given(data=st.data())
thorough = profile(
    max_examples=effort(80, 1000),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)


def compare(stores: Callable[[], tuple[Side, Side]], data: st.DataObject) -> None:
    memory, shared = stores()
    assert memory.contents() == shared.contents()
    for operation in data.draw(st.lists(operations, min_size=5, max_size=25)):
        assert operation(memory) == operation(shared)
        assert memory.contents() == shared.contents()
        assert memory.take_announced() == shared.take_announced()


@with_data
@thorough
def test_both_stores_behave_alike(stores: Callable[[], tuple[Side, Side]], data: st.DataObject) -> None:
    compare(stores, data)


@with_data
@profile(thorough, max_examples=2000, phases=[Phase.generate], database=None, report_multiple_bugs=False)
def compare_until_they_differ(stores: Callable[[], tuple[Side, Side]], data: st.DataObject) -> None:
    compare(stores, data)


# For each mutant: the name of a Lua script, the code to be replaced, and the replacement.
MUTANTS = {
    "begin drops other holders": ("_BEGIN", "alive = without(alive, id)\n", "alive = {}\n"),
    "end drops other holders": ("_END", "if #others > 0 then", "if false then"),
    "end does not report lost intents": ("_END", "if lost > 0 then", "if false then"),
    "touch ignores holders": ("_TOUCH", "if #holders(get(key)) == 0 then", "if true then"),
    "put ignores holders": ("_PUT", "if held then", "if false then"),
    "answers stay after a write": ("_READ_ANSWER", "~= table.concat(states)", "== ''"),
    "the content is always sent": ("_READ_ANSWER", "if not ARGV[2]", "if true or not ARGV[2]"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_comparison_finds_a_mutated_script(
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
