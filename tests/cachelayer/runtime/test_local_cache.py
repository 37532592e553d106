"""The local cache: size, expiry, validity, invalidation, and protection of cached values from changes by callers."""

import itertools
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachelayer import Page, cache
from cachelayer.protocol.tags import Namespace, Namespaces
from cachelayer.runtime import local_cache
from cachelayer.runtime.local_cache import (
    BYTES_PER_BYTE,
    ENTRY_BYTES,
    FOREVER,
    SWEEP_INTERVAL,
    LocalCache,
    LocalNamespace,
)
from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Contact, Conversation, Instance, Message, Participant
from tests.conversations.rows import NOON, a_contact, a_group, a_message, an_instance
from tests.waiting import StoppedClock

ITEMS = 10
TIMEOUT = 20.0  # seconds after which the test with threads ends at the latest
THINGS = Namespace("things", "thing", ttl=60, max_items=ITEMS)
OTHERS = Namespace("others", "other", ttl=60, max_items=ITEMS)
TTL = 60.0


class Caches:
    """A local cache with two namespaces; if a fill gives no value, the value is the cache key."""

    def __init__(self) -> None:
        self.cache = LocalCache(Namespaces([THINGS, OTHERS]))
        self.cache.set_valid_until(FOREVER)
        self.things = self.cache.namespace(THINGS)
        self.others = self.cache.namespace(OTHERS)

    def fill(
        self,
        key: Any,
        *,
        value: Any = None,
        sequence: int | None = None,
        local: LocalNamespace | None = None,
        length: int = 0,
    ) -> bool:
        local = local or self.things
        tags = (f"{local.namespace.row}:{key}", local.namespace.name, "*")
        stored = key if value is None else value
        sequence = self.cache.sequence() if sequence is None else sequence
        return self.cache.put(local, key, lambda: stored, tags, TTL, sequence, length)

    @property
    def keys(self) -> set[Any]:
        return set(self.things.entries)


@pytest.fixture
def caches() -> Caches:
    return Caches()


def get(local: LocalNamespace, key: Any) -> Any:
    entry = local.get(key)
    return None if entry is None else entry.load()


# --- size -------------------------------------------------------------------------------------------------------------
def test_a_namespace_never_has_more_than_max_items(caches: Caches) -> None:
    for key in range(1000):
        assert caches.fill(key)
        assert caches.fill(key, local=caches.others)
        assert len(caches.things.entries) == len(caches.others.entries) == min(key + 1, ITEMS)
    assert caches.keys == set(range(990, 1000))
    assert caches.things.evictions == 990


def test_entries_that_are_read_often_are_not_evicted(caches: Caches) -> None:
    hot = [0, 1, 2]
    for key in range(1000):
        caches.fill(key)
        for hot_key in hot[: key + 1]:
            assert get(caches.things, hot_key) == hot_key


def test_an_entry_that_is_no_longer_read_is_evicted(caches: Caches) -> None:
    caches.fill("old")
    get(caches.things, "old")
    for key in range(3 * ITEMS):
        caches.fill(key)
    assert "old" not in caches.keys


def test_if_all_entries_were_read_the_oldest_is_evicted(caches: Caches) -> None:
    for key in range(ITEMS):
        caches.fill(key)
        get(caches.things, key)
    caches.fill("new")
    assert caches.keys == {*range(1, ITEMS), "new"}


def test_a_namespace_with_max_items_0_stores_nothing() -> None:
    cache = LocalCache(Namespaces([Namespace("things", "thing", ttl=60, max_items=0)]))
    cache.set_valid_until(FOREVER)
    assert not cache.put(cache.namespaces["things"], 1, lambda: 1, ("thing:1", "things", "*"), TTL, cache.sequence())


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(0, 60), st.booleans()), max_size=60))
def test_all_entries_together_never_take_more_than_max_bytes(
    steps: list[tuple[int, bool, int, bool]],
) -> None:
    caches = Caches()
    caches.cache.max_bytes = 5000
    both = (caches.things, caches.others)
    for key, is_other, length, is_invalidated in steps:
        local = both[is_other]
        if is_invalidated:
            caches.cache.invalidate([f"{local.namespace.row}:{key}"])
        elif caches.fill(key, local=local, length=length):
            assert key in local.entries
        else:
            assert ENTRY_BYTES + BYTES_PER_BYTE * length > 2500, "only an entry that is too large is rejected"
        assert all(one.size == sum(entry.size for entry in one.entries.values()) for one in both)
        assert sum(one.size for one in both) <= 5000


def test_the_namespace_that_takes_most_memory_makes_room(caches: Caches) -> None:
    caches.cache.max_bytes = 10_000
    for key in range(4):
        caches.fill(key, length=100)
    for key in range(ITEMS):
        caches.fill(key, local=caches.others)
    assert len(caches.others.entries) == ITEMS
    assert caches.keys == {2, 3}
    assert caches.things.evictions == 2


def page_of_messages(number: int) -> Page[Message]:
    return Page(
        [
            Message(
                pk=number * 200 + n, instance_id=1, conversation_id=1, key_id=f"3EB0{number:04}{n:04}", from_me=False,
                timestamp=NOON, kind="text", status=0, text="Chego em dez minutos",
            )
            for n in range(200)
        ]
    )  # fmt: skip


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_pages_of_messages_take_about_as_much_memory_as_the_limit_says(cache_runtime: CacheRuntime) -> None:
    """Without a limit in bytes, 1000 pages of 200 short messages took 339 MB."""
    cache_runtime.local.max_bytes = 2 * 2**20
    tracemalloc.start()
    try:
        for number in range(60):
            assert len(Message.objects.fetch_list("messages:1", partial(page_of_messages, number), number).rows) == 200
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(one.size for one in cache_runtime.local.namespaces.values()) > 2**20
    assert taken < 12 * 2**20, "more than the entries, their payloads in the store, and what serializers keep"


def test_a_child_that_is_forked_inside_a_load_uses_its_local_cache_afterwards(caches: Caches) -> None:
    with caches.cache.loading():
        caches.cache.reset_after_fork()
    caches.fill(1)
    assert caches.things.quick_until == FOREVER
    assert get(caches.things, 1) == 1


def test_the_log_of_touched_tags_is_bounded(caches: Caches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_cache, "MAX_TOUCH_LOG", 100)
    sequence = caches.cache.sequence()
    for number in range(1000):
        caches.cache.invalidate([f"thing:{number}"])
    assert len(caches.cache._touched) <= 100  # noqa: SLF001 - no public method returns the size of _touched
    assert not caches.fill(5000, sequence=sequence)
    assert caches.fill(5000)


# --- expiry -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    clock = StoppedClock()
    monkeypatch.setattr(local_cache, "monotonic", clock)
    return clock


def test_an_entry_expires_even_if_it_is_read_often(caches: Caches, clock: StoppedClock) -> None:
    caches.fill(1)
    for _ in range(6):
        assert get(caches.things, 1) == 1
        clock.now += TTL / 6
    assert get(caches.things, 1) is None
    caches.fill(1)
    assert get(caches.things, 1) == 1


def test_expired_entries_are_removed_at_intervals(caches: Caches, clock: StoppedClock) -> None:
    clock.now += SWEEP_INTERVAL
    caches.fill(1, length=10)
    clock.now += TTL / 2
    caches.fill(2, length=10)
    caches.cache.remove_expired()
    assert caches.keys == {1, 2}
    clock.now += TTL / 2
    caches.cache.remove_expired()
    assert caches.keys == {2}
    assert caches.things.size == caches.things.entries[2].size
    clock.now += SWEEP_INTERVAL / 2
    caches.things.entries[2].expires = clock.now
    caches.cache.remove_expired()
    assert caches.keys == {2}, "the last removal was less than an interval ago"


def test_entries_are_used_until_valid_until_and_not_after(caches: Caches, clock: StoppedClock) -> None:
    caches.fill(1)
    caches.cache.set_valid_until(clock.now + 1)
    clock.now += 0.999
    assert get(caches.things, 1) == 1
    clock.now += 0.001
    assert get(caches.things, 1) is None
    assert not caches.fill(2)
    caches.cache.set_valid_until(clock.now + 1)
    assert get(caches.things, 1) == 1, "no invalidation was missed"


def test_invalidate_all_removes_entries_and_rejects_fills_that_began_before(caches: Caches) -> None:
    sequence = caches.cache.sequence()
    caches.fill(1)
    caches.cache.invalidate_all()
    assert not caches.keys
    caches.cache.set_valid_until(FOREVER)
    assert get(caches.things, 1) is None
    assert not caches.fill(1, sequence=sequence)


# --- invalidation -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("touched", "removed"),
    [(["thing:1"], {1}), (["thing:1", "thing:3", "thing:9"], {1, 3}), (["things"], {1, 2, 3}), (["*"], {1, 2, 3}),
     (["other:1", "others", "thing:11", "nonsense"], set()), ([], set())],
)  # fmt: skip
def test_invalidation_removes_the_entries_that_depend_on_a_tag(
    caches: Caches, touched: list[str], removed: set[int]
) -> None:
    for key in (1, 2, 3):
        caches.fill(key)
    caches.cache.invalidate(touched)
    assert {1, 2, 3} - caches.keys == removed
    assert caches.things.invalidations == len(removed)


@pytest.mark.parametrize("touched", ["thing:1", "things", "*"])
def test_a_value_that_was_read_before_a_touch_is_not_stored_after_it(caches: Caches, touched: str) -> None:
    sequence = caches.cache.sequence()
    caches.cache.invalidate([touched])
    assert not caches.fill(1, sequence=sequence)
    assert caches.fill(1)


def test_a_touch_of_another_tag_does_not_prevent_a_fill(caches: Caches) -> None:
    sequence = caches.cache.sequence()
    caches.cache.invalidate(["thing:2", "others"])
    assert caches.fill(1, sequence=sequence)


def test_a_value_that_was_read_before_a_removal_is_not_stored_after_it(caches: Caches) -> None:
    caches.fill(1)
    sequence = caches.cache.sequence()
    assert caches.cache.remove_matching(lambda _, key: key == 1) == 1
    assert not caches.fill(1, sequence=sequence)
    assert not caches.keys


steps = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.integers(0, 3)),
        st.tuples(st.just("fill"), st.integers(0, 3)),
        st.tuples(st.just("get"), st.integers(0, 30)),
        st.tuples(st.just("touch"), st.sampled_from(["thing:1", "thing:2", "things", "*", "others"])),
        st.tuples(st.just("fill others"), st.integers(1, 15)),
        st.tuples(st.just("remove"), st.integers(0, 3)),
    ),
    max_size=40,
)


@given(steps)
def test_no_sequence_of_steps_leads_to_a_stale_read(steps: list[tuple[str, Any]]) -> None:
    """A read may begin several steps before the fill; the value of a cache key is the number of touches of the key."""
    caches = Caches()
    current = dict.fromkeys(range(4), 0)
    reads: dict[int, tuple[int, int]] = {}
    for action, argument in steps:
        if action == "begin":
            reads[argument] = caches.cache.sequence(), current[argument]
        elif action == "fill" and argument in reads:
            sequence, value = reads.pop(argument)
            caches.fill(argument, value=[value], sequence=sequence)
        elif action == "fill others":
            for key in range(100, 100 + argument):
                caches.fill(key)
        elif action == "remove":
            caches.cache.remove_matching(lambda _, key, removed=argument: key == removed)  # type: ignore[misc]  # mypy cannot infer the type of a lambda's default
        elif action == "touch":
            for key in current:
                current[key] += argument in (f"thing:{key}", "things", "*")
            caches.cache.invalidate([argument])
        for key, value in current.items():
            assert get(caches.things, key) in (None, [value])
        assert len(caches.things.entries) <= ITEMS
        by_tag = caches.cache._by_tag  # noqa: SLF001 - no public method shows leaks in _by_tag
        assert {key for locations in by_tag.values() for _, key in locations} == caches.keys
        assert all(by_tag.values())


# --- threads ----------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("frequent_switches")
def test_concurrent_reads_invalidations_and_evictions_never_make_a_stale_read(caches: Caches) -> None:
    current = [0] * (2 * ITEMS)
    done = threading.Event()

    def write() -> None:
        deadline = time.monotonic() + TIMEOUT
        for number in itertools.count():
            key = number % len(current)
            current[key] += 1
            caches.cache.invalidate([f"thing:{key}"])
            is_enough = number >= 20_000 and caches.things.hits and caches.things.evictions
            if is_enough or time.monotonic() > deadline:  # on a busy machine, reader threads may start late
                break
        done.set()

    def read(key: int) -> None:
        while not done.is_set():
            key = (key + 7) % len(current)
            oldest, sequence = current[key] - 1, caches.cache.sequence()  # the last touch may be running
            found = get(caches.things, key)
            if found is None:
                caches.fill(key, value=[current[key]], sequence=sequence)
            else:
                assert found[0] >= oldest

    with ThreadPoolExecutor(5) as pool:
        running = [pool.submit(write), *(pool.submit(read, number) for number in range(4))]
    for future in running:
        future.result()
    assert len(caches.things.entries) <= ITEMS
    for key, number in enumerate(current):
        assert get(caches.things, key) in (None, [number])
    assert caches.things.hits
    assert caches.things.evictions


# --- isolation from callers -------------------------------------------------------------------------------------------
JSON = {"list": [1, {"deep": ["x"]}], "dict": {"a": {}}, "text": "x"}


def mutate(value: Any) -> None:
    """Change all that a caller can change in a value: fields of rows, and the lists and dicts in the fields."""
    if isinstance(value, dict):
        for item in value.values():
            mutate(item)
        value.clear()
        value["mutated"] = True
    elif isinstance(value, list):
        for item in value:
            mutate(item)
        value.append("mutated")
    elif hasattr(value, "_state"):
        for name, item in list(vars(value).items()):
            if isinstance(item, dict | list):
                mutate(item)
            elif name != "_state":
                setattr(value, name, None)
        value._state.adding, value._state.db = True, "mutated"  # noqa: SLF001 - callers may use the attribute _state
    elif hasattr(value, "rows"):
        mutate(value.rows)


def visible(value: Any) -> Any:
    """Return all that a caller can see of a value, for comparison."""
    if isinstance(value, list):
        return [visible(item) for item in value]
    if isinstance(value, dict):
        return {key: visible(item) for key, item in value.items()}
    if hasattr(value, "_state"):
        fields = {name: visible(item) for name, item in vars(value).items() if name != "_state"}
        return type(value), fields, value._state.adding, value._state.db  # noqa: SLF001 - callers may use the attribute _state
    return (visible(value.rows), value.next_cursor) if hasattr(value, "rows") else value


Read = Callable[[Message], Any]
READS: dict[str, Read] = {
    "fetch": lambda row: Message.objects.fetch(row.pk),
    "fetch_many": lambda row: Message.objects.fetch_many([row.pk, row.pk + 1]),
    "a conversation's messages": lambda row: Message.objects.for_conversation(row.conversation_id),
    "a page of them": lambda row: Message.objects.for_conversation(row.conversation_id, limit=1),
    "an instance's conversations": lambda row: Conversation.objects.for_instance(row.instance_id),
    "all contacts": lambda _: Contact.objects.for_instance(None),
    "instances of a name": lambda row: Instance.objects.by_name(row.instance.name),
    "a group's members": lambda row: Participant.objects.shown(row.conversation),
    "cache.get": lambda _: cache.get("values:x"),
    "cache.fetch": lambda _: cache.fetch("values:y", lambda: {"a": [JSON, [1]]}),
}

LOCAL_ONLY = {"instances of a name"}  # hashes of webhook tokens are never read from Redis


@pytest.mark.django_db(transaction=True)
def test_mutating_a_value_that_was_read_does_not_change_later_reads(cache_runtime: CacheRuntime) -> None:
    group = a_group(an_instance(labels=JSON), labels=JSON)
    message = a_message(group, details=JSON, media=JSON, reactions=JSON)
    a_message(group)
    group.participants.create(contact=a_contact(group.instance, name="Ana"), clock="1")
    cache.set("values:x", {"a": [JSON, [1]]})
    for name, read in READS.items():
        expected = visible(read(message))  # the value as read from the database or set by cache.set()
        counts = cache_runtime.counters.snapshot(cache_runtime.local.namespaces.values())
        for answered_by in ("local", "local", "shared", "local"):
            if answered_by == "shared":
                cache_runtime.local.invalidate(["*"])
            found = read(message)
            assert visible(found) == expected, (name, answered_by)
            mutate(found)
        after = cache_runtime.counters.snapshot(cache_runtime.local.namespaces.values())
        for tier in ("local",) if name in LOCAL_ONLY else ("local", "shared"):
            hits = sum(after[key] - counts.get(key, 0) for key in after if key[1:] == (tier, "hits"))
            assert hits > 0, (name, tier)


@pytest.mark.django_db(transaction=True)
def test_mutating_a_value_after_it_was_stored_does_not_change_later_reads() -> None:
    value = {"a": [1]}
    assert cache.fetch("x", lambda: value) is value
    mutate(value)
    assert cache.get("x") == {"a": [1]}
    value = {"a": [1]}
    cache.set("x", value)
    mutate(value)
    assert cache.get("x") == {"a": [1]}
