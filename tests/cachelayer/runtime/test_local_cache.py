"""The local tier: how much it holds, for how long, when it may be believed, and that nobody can alter what is in it."""

import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachelayer import cache
from cachelayer.protocol.tags import Namespace, Namespaces
from cachelayer.runtime import local_cache
from cachelayer.runtime.local_cache import FOREVER, LocalCache, LocalNamespace
from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Contact, Conversation, Instance, Message
from tests.conversations.rows import a_contact, a_group, a_message, an_instance

ITEMS = 10
PATIENCE = 20.0  # seconds
THINGS = Namespace("things", "thing", ttl=60, max_items=ITEMS)
OTHERS = Namespace("others", "other", ttl=60, max_items=ITEMS)
TTL = 60.0


class Tiers:
    """The local tier of two namespaces, whose values are their keys unless told otherwise."""

    def __init__(self) -> None:
        self.all = LocalCache(Namespaces([THINGS, OTHERS]))
        self.all.set_valid_until(FOREVER)
        self.things = self.all.namespace(THINGS)
        self.others = self.all.namespace(OTHERS)

    def fill(self, key: Any, *, value: Any = None, mark: int | None = None, tier: LocalNamespace | None = None) -> bool:
        tier = tier or self.things
        tags = (f"{tier.namespace.row}:{key}", tier.namespace.name, "*")
        kept = key if value is None else value
        return self.all.put(tier, key, lambda: kept, tags, TTL, self.all.sequence() if mark is None else mark)

    @property
    def kept(self) -> set[Any]:
        return set(self.things.entries)


@pytest.fixture
def tiers() -> Tiers:
    return Tiers()


def value_of(tier: LocalNamespace, key: Any) -> Any:
    entry = tier.get(key)
    return None if entry is None else entry.load()


# --- bounds -----------------------------------------------------------------------------------------------------------
def test_there_are_never_more_entries_than_the_namespace_allows(tiers: Tiers) -> None:
    for key in range(1000):
        assert tiers.fill(key)
        assert tiers.fill(key, tier=tiers.others)
        assert len(tiers.things.entries) == len(tiers.others.entries) == min(key + 1, ITEMS)
    assert tiers.kept == set(range(990, 1000))
    assert tiers.things.evictions == 990


def test_what_is_read_again_and_again_stays_while_others_come_and_go(tiers: Tiers) -> None:
    hot = [0, 1, 2]
    for key in range(1000):
        tiers.fill(key)
        for one in hot[: key + 1]:
            assert value_of(tiers.things, one) == one


def test_what_was_read_long_ago_goes_in_the_end(tiers: Tiers) -> None:
    tiers.fill("old")
    value_of(tiers.things, "old")
    for key in range(3 * ITEMS):
        tiers.fill(key)
    assert "old" not in tiers.kept


def test_where_all_have_been_read_the_oldest_goes(tiers: Tiers) -> None:
    for key in range(ITEMS):
        tiers.fill(key)
        value_of(tiers.things, key)
    tiers.fill("new")
    assert tiers.kept == {*range(1, ITEMS), "new"}


def test_a_namespace_that_allows_nothing_keeps_nothing() -> None:
    tiers = LocalCache(Namespaces([Namespace("things", "thing", ttl=60, max_items=0)]))
    tiers.set_valid_until(FOREVER)
    assert not tiers.put(tiers.namespaces["things"], 1, lambda: 1, ("thing:1", "things", "*"), TTL, tiers.sequence())


def test_of_touched_tags_no_more_is_remembered_than_is_needed(tiers: Tiers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_cache, "MAX_TOUCH_LOG", 100)
    mark = tiers.all.sequence()
    for number in range(1000):
        tiers.all.invalidate([f"thing:{number}"])
    assert len(tiers.all._touched) <= 100  # noqa: SLF001 - nothing else shows it
    assert not tiers.fill(5000, mark=mark)
    assert tiers.fill(5000)


# --- time -------------------------------------------------------------------------------------------------------------
class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(local_cache, "monotonic", made)
    return made


def test_an_entry_ends_with_its_time_to_live_however_often_it_is_read(tiers: Tiers, clock: Clock) -> None:
    tiers.fill(1)
    for _ in range(6):
        assert value_of(tiers.things, 1) == 1
        clock.now += TTL / 6
    assert value_of(tiers.things, 1) is None
    tiers.fill(1)
    assert value_of(tiers.things, 1) == 1


def test_it_is_believed_until_the_moment_that_was_said_and_not_after(tiers: Tiers, clock: Clock) -> None:
    tiers.fill(1)
    tiers.all.set_valid_until(clock.now + 1)
    clock.now += 0.999
    assert value_of(tiers.things, 1) == 1
    clock.now += 0.001
    assert value_of(tiers.things, 1) is None
    assert not tiers.fill(2)
    tiers.all.set_valid_until(clock.now + 1)
    assert value_of(tiers.things, 1) == 1, "nothing was missed: it was only not known"


def test_what_is_no_longer_believed_at_all_is_forgotten(tiers: Tiers) -> None:
    mark = tiers.all.sequence()
    tiers.fill(1)
    tiers.all.invalidate_all()
    assert not tiers.kept
    tiers.all.set_valid_until(FOREVER)
    assert value_of(tiers.things, 1) is None
    assert not tiers.fill(1, mark=mark)


# --- invalidation -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("touched", "gone"),
    [(["thing:1"], {1}), (["thing:1", "thing:3", "thing:9"], {1, 3}), (["things"], {1, 2, 3}), (["*"], {1, 2, 3}),
     (["other:1", "others", "thing:11", "nonsense"], set()), ([], set())],
)  # fmt: skip
def test_what_depends_on_a_touched_tag_goes(tiers: Tiers, touched: list[str], gone: set[int]) -> None:
    for key in (1, 2, 3):
        tiers.fill(key)
    tiers.all.invalidate(touched)
    assert {1, 2, 3} - tiers.kept == gone
    assert tiers.things.invalidations == len(gone)


@pytest.mark.parametrize("touched", ["thing:1", "things", "*"])
def test_what_was_read_before_a_touch_is_not_kept_after_it(tiers: Tiers, touched: str) -> None:
    mark = tiers.all.sequence()
    tiers.all.invalidate([touched])
    assert not tiers.fill(1, mark=mark)
    assert tiers.fill(1)


def test_a_touch_of_something_else_keeps_nothing_from_being_kept(tiers: Tiers) -> None:
    mark = tiers.all.sequence()
    tiers.all.invalidate(["thing:2", "others"])
    assert tiers.fill(1, mark=mark)


def test_what_was_read_before_a_removal_by_pattern_is_not_kept_after_it(tiers: Tiers) -> None:
    tiers.fill(1)
    mark = tiers.all.sequence()
    assert tiers.all.remove_matching(lambda _, key: key == 1) == 1
    assert not tiers.fill(1, mark=mark)
    assert not tiers.kept


steps = st.lists(
    st.one_of(
        st.tuples(st.just("mark"), st.integers(0, 3)),
        st.tuples(st.just("fill"), st.integers(0, 3)),
        st.tuples(st.just("get"), st.integers(0, 30)),
        st.tuples(st.just("touch"), st.sampled_from(["thing:1", "thing:2", "things", "*", "others"])),
        st.tuples(st.just("crowd"), st.integers(1, 15)),
        st.tuples(st.just("remove"), st.integers(0, 3)),
    ),
    max_size=40,
)


@given(steps)
def test_whatever_happens_nothing_is_answered_that_was_read_before_a_touch(steps: list[tuple[str, Any]]) -> None:
    """The truth of each key is how often it was touched. A reader marks, reads, and fills some steps later."""
    tiers = Tiers()
    truth = dict.fromkeys(range(4), 0)
    read: dict[int, tuple[int, int]] = {}
    for what, which in steps:
        if what == "mark":
            read[which] = tiers.all.sequence(), truth[which]
        elif what == "fill" and which in read:
            mark, seen = read.pop(which)
            tiers.fill(which, value=[seen], mark=mark)
        elif what == "crowd":
            for key in range(100, 100 + which):
                tiers.fill(key)
        elif what == "remove":
            tiers.all.remove_matching(lambda _, key, which=which: key == which)  # type: ignore[misc]  # bound now
        elif what == "touch":
            for key in truth:
                truth[key] += which in (f"thing:{key}", "things", "*")
            tiers.all.invalidate([which])
        for key, seen in truth.items():
            assert value_of(tiers.things, key) in (None, [seen])
        assert len(tiers.things.entries) <= ITEMS
        tagged = tiers.all._by_tag  # noqa: SLF001 - a leak shows nowhere else
        assert {key for of_tag in tagged.values() for _, key in of_tag} == tiers.kept
        assert all(tagged.values())


# --- threads ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def hasty() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_threads_that_read_write_and_evict_at_once_never_see_what_is_over(tiers: Tiers) -> None:
    truth = [0] * (2 * ITEMS)
    done = threading.Event()

    def write() -> None:
        ends = time.monotonic() + PATIENCE
        for number in itertools.count():
            key = number % len(truth)
            truth[key] += 1
            tiers.all.invalidate([f"thing:{key}"])
            is_enough = number >= 20_000 and tiers.things.hits and tiers.things.evictions
            if is_enough or time.monotonic() > ends:  # a busy machine may have kept the readers away so far
                break
        done.set()

    def read(key: int) -> None:
        while not done.is_set():
            key = (key + 7) % len(truth)
            least, mark = truth[key] - 1, tiers.all.sequence()  # the last touch may not have been announced
            found = value_of(tiers.things, key)
            if found is None:
                tiers.fill(key, value=[truth[key]], mark=mark)
            else:
                assert found[0] >= least

    with ThreadPoolExecutor(5) as pool:
        running = [pool.submit(write), *(pool.submit(read, number) for number in range(4))]
    for one in running:
        one.result()
    assert len(tiers.things.entries) <= ITEMS
    for key, number in enumerate(truth):
        assert value_of(tiers.things, key) in (None, [number])
    assert tiers.things.hits
    assert tiers.things.evictions


# --- what is inside cannot be altered ---------------------------------------------------------------------------------
JSON = {"list": [1, {"deep": ["x"]}], "dict": {"a": {}}, "text": "x"}


def spoil(value: Any) -> None:
    """Alter everything that a caller can alter: fields, and whatever is inside them."""
    if isinstance(value, dict):
        for inside in value.values():
            spoil(inside)
        value.clear()
        value["spoilt"] = True
    elif isinstance(value, list):
        for inside in value:
            spoil(inside)
        value.append("spoilt")
    elif hasattr(value, "_state"):
        for name, inside in list(vars(value).items()):
            if isinstance(inside, dict | list):
                spoil(inside)
            elif name != "_state":
                setattr(value, name, None)
        value._state.adding, value._state.db = True, "spoilt"  # noqa: SLF001 - as anybody can
    elif hasattr(value, "rows"):
        spoil(value.rows)


def shown(value: Any) -> Any:
    """All that a caller can see."""
    if isinstance(value, list):
        return [shown(one) for one in value]
    if isinstance(value, dict):
        return {key: shown(one) for key, one in value.items()}
    if hasattr(value, "_state"):
        known = {name: shown(one) for name, one in vars(value).items() if name != "_state"}
        return type(value), known, value._state.adding, value._state.db  # noqa: SLF001 - as anybody can
    return (shown(value.rows), value.next_cursor) if hasattr(value, "rows") else value


Read = Callable[[Message], Any]
READS: dict[str, Read] = {
    "fetch": lambda row: Message.objects.fetch(row.pk),
    "fetch_many": lambda row: Message.objects.fetch_many([row.pk, row.pk + 1]),
    "a conversation's messages": lambda row: Message.objects.for_conversation(row.conversation_id),
    "a page of them": lambda row: Message.objects.for_conversation(row.conversation_id, limit=1),
    "an instance's conversations": lambda row: Conversation.objects.for_instance(row.instance_id),
    "all contacts": lambda _: Contact.objects.for_instance(None),
    "instances of a name": lambda row: Instance.objects.by_name(row.instance.name),
    "a group's members": lambda row: Conversation.objects.participants(row.conversation),
    "cache.get": lambda _: cache.get("values:x"),
    "cache.fetch": lambda _: cache.fetch("values:y", lambda: {"a": [JSON, [1]]}),
}


@pytest.mark.django_db(transaction=True)
def test_whatever_is_done_to_what_was_read_the_next_read_is_as_the_first(cached: CacheRuntime) -> None:
    group = a_group(an_instance(labels=JSON), labels=JSON)
    message = a_message(group, details=JSON, media=JSON, reactions=JSON)
    a_message(group)
    group.participants.create(contact=a_contact(group.instance, name="Ana"), clock="1")
    cache.set("values:x", {"a": [JSON, [1]]})
    for name, read in READS.items():
        expected = shown(read(message))  # a miss, or what was set
        counts = cached.counters.snapshot(cached.local.namespaces.values())
        for answered_by in ("local", "local", "shared", "local"):
            if answered_by == "shared":
                cached.local.invalidate(["*"])
            found = read(message)
            assert shown(found) == expected, (name, answered_by)
            spoil(found)
        after = cached.counters.snapshot(cached.local.namespaces.values())
        for tier in ("local", "shared"):
            hits = sum(after[key] - counts.get(key, 0) for key in after if key[1:] == (tier, "hits"))
            assert hits > 0, (name, tier)


@pytest.mark.django_db(transaction=True)
def test_what_a_loader_gave_and_then_altered_is_kept_as_it_was_given() -> None:
    given = {"a": [1]}
    assert cache.fetch("x", lambda: given) is given
    spoil(given)
    assert cache.get("x") == {"a": [1]}
    given = {"a": [1]}
    cache.set("x", given)
    spoil(given)
    assert cache.get("x") == {"a": [1]}
