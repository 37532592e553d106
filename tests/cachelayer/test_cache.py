"""The cache by hand: values under names, and the operators' controls."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from time import monotonic
from typing import Any

import pytest
from django.db import transaction

from cachelayer import cache
from cachelayer.protocol.codec import NotCacheable
from cachelayer.protocol.tags import UnknownNamespace
from cachelayer.runtime.runtime import CacheRuntime, get_runtime, memory_store, runtime
from conversations.cache_policy import NAMESPACES
from conversations.models import Contact, Conversation, Instance, Message
from tests.conversations.rows import a_chat, a_contact, a_message, an_instance

pytestmark = pytest.mark.usefixtures("unblocked_db", "cache_runtime")
writes_rows = pytest.mark.django_db(transaction=True)

HOUR = 60 * 60  # seconds
MINUTE = 60


@pytest.fixture(params=["local", "shared"])
def forget(request: pytest.FixtureRequest, cache_runtime: CacheRuntime) -> Callable[[], None]:
    """What to do before a read, so that it is answered by one tier or the other."""
    return (lambda: None) if request.param == "local" else (lambda: cache_runtime.local.invalidate(["*"]))


class Load:
    """A loader that counts how often it is asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> int:
        self.times += 1
        return self.times


# --- policy -----------------------------------------------------------------------------------------------------------
def test_the_policy() -> None:
    assert {(one.name, one.ttl, one.max_items) for one in NAMESPACES} == {
        ("conversations", 30 * MINUTE, 1000),
        ("contacts", 5 * MINUTE, 500),
        ("instances", 1 * HOUR, 100),
        ("messages", 10 * MINUTE, 2000),
    }
    assert {one.name for one in runtime.namespaces} == {one.name for one in NAMESPACES} | {"values"}


@writes_rows
def test_the_local_tier_holds_no_more_than_the_policy_says(cache_runtime: CacheRuntime) -> None:
    instances = Instance.objects.bulk_create(Instance(name=f"{number}") for number in range(120))
    Instance.objects.fetch_many(row.pk for row in instances)
    tier = cache_runtime.local.namespaces["instances"]
    assert len(tier.entries) == 100
    assert tier.evictions == 20
    assert len(Instance.objects.fetch_many(row.pk for row in instances)) == 120


@pytest.mark.parametrize("name", [one.name for one in NAMESPACES])
def test_times_to_live_are_a_tenth_longer_or_shorter(cache_runtime: CacheRuntime, name: str) -> None:
    (namespace,) = (one for one in NAMESPACES if one.name == name)
    for number in range(100):
        cache.fetch(f"{name}:digest:{number}", lambda: 1)
    now = cache_runtime.local.namespaces[name]
    lives = [entry.expires - monotonic() for entry in now.entries.values()]
    assert all(0.89 * namespace.ttl < life < 1.11 * namespace.ttl for life in lives)
    assert max(lives) - min(lives) > 0.1 * namespace.ttl


# --- get, set, delete -------------------------------------------------------------------------------------------------
VALUES: list[Any] = [
    0, "", None, False, [], {}, "é", 2**80, 1.5, b"\0", dt.datetime(2026, 3, 1, tzinfo=dt.UTC), dt.date(2026, 3, 1),
    Decimal("1.50"), (1, (2,)), {3}, {"a": [1, {"b": None}]}, {1: {(2, 3): 4}},
]  # fmt: skip


@pytest.mark.parametrize("key", ["x", "a:b", "conversations:digest:7", "conversations", "conversation", "é \n*[]", ""])
def test_what_was_set_is_there_until_it_is_deleted(forget: Callable[[], None], key: str) -> None:
    for value in VALUES:
        cache.set(key, value)
        forget()
        assert cache.get(key, "default") == value
    cache.delete(key)
    forget()
    assert cache.get(key, "default") == "default"
    assert cache.get(key) is None
    cache.delete(key)


def test_neighbours_know_nothing_of_each_other(forget: Callable[[], None]) -> None:
    keys = ["x", "values:x", "value:x", "xx", "conversations", "conversations:x", "conversation:x", "messages:x"]
    for key in keys:
        cache.set(key, key)
    cache.delete(keys[0])
    cache.set(keys[1], "new")
    forget()
    assert [cache.get(key) for key in keys] == [None, "new", *keys[2:]]


@writes_rows
@pytest.mark.parametrize("key", ["conversations", "conversation", "conversations:all", "x"])
def test_a_value_leaves_the_rows_of_its_namespace_alone(cache_runtime: CacheRuntime, key: str) -> None:
    pk = a_chat(an_instance()).pk
    Conversation.objects.fetch(pk)
    misses = cache_runtime.counters.shared(cache_runtime.namespaces.for_tag("conversations"))
    before = misses.misses
    cache.set(key, 1)
    cache.get(key)
    cache.delete(key)
    Conversation.objects.fetch(pk)
    assert misses.misses - before in (0, 1)
    assert misses.bypasses == 0


def test_a_value_that_has_no_encoding_is_refused() -> None:
    with pytest.raises(NotCacheable):
        cache.set("x", object())


def test_a_set_replaces_what_was_there_also_when_it_cannot_be_stored(cache_runtime: CacheRuntime) -> None:
    cache.set("x", "old")
    cache_runtime.store.begin(b"somebody--------", ["values:x"])
    cache.set("x", "new")
    assert cache.get("x") is None
    cache_runtime.store.end(b"somebody--------", ["values:x"])
    assert cache.get("x") is None


def test_a_guest_keeps_nothing() -> None:
    runtime.use_store(memory_store, bypasses_cache=True)
    cache.set("x", 1)
    assert cache.get("x") is None
    assert cache.fetch("x", lambda: 2) == 2
    assert cache.fetch("x", lambda: 3) == 3


@pytest.mark.parametrize("ttl", [0, -1, 0.0001])
def test_what_has_no_time_to_live_is_not_stored(cache_runtime: CacheRuntime, ttl: float) -> None:
    for _ in range(5):
        cache.set("x", "old")
        cache.set("x", "new", ttl=ttl)
        assert cache.get("x") != "old"
    assert cache_runtime.breaker.is_closed
    cache.set("x", 1, ttl=0)
    assert cache.get("x") is None


@pytest.mark.parametrize("ttl", [3 * HOUR, 400 * 24 * HOUR, 10**12, float("inf")])
def test_a_long_time_to_live_is_one(cache_runtime: CacheRuntime, forget: Callable[[], None], ttl: float) -> None:
    cache.set("x", 1, ttl=ttl)
    forget()
    assert cache.get("x") == 1
    assert cache_runtime.breaker.is_closed


# --- fetch ------------------------------------------------------------------------------------------------------------
def test_a_value_is_loaded_once(forget: Callable[[], None]) -> None:
    load = Load()
    for _ in range(3):
        assert cache.fetch("x", load) == 1
        forget()
    assert cache.get("x") == 1


@pytest.mark.parametrize(
    "tags",
    [
        ("conversations:instance:7",),
        ("conversations:instance:7", "messages:42"),
        ("conversations", "messages:42"),
        ("*", "conversations:instance:7"),
    ],
)
@pytest.mark.parametrize("key", ["conversations:digest:7", "digest:7"])
def test_a_value_is_valid_until_one_of_its_tags_is_touched(
    forget: Callable[[], None], key: str, tags: tuple[str, ...]
) -> None:
    load = Load()
    for tag in (*tags, "*"):
        before = cache.fetch(key, load, tags=tags)
        cache.touch("contact:1", "conversations:instance:70", "messages:420")
        if not {"conversations", "*"} & {*tags}:
            forget()
            assert cache.fetch(key, load, tags=tags) == before
        cache.touch(tag)
        forget()
        assert cache.fetch(key, load, tags=tags) == before + 1


@writes_rows
def test_a_value_that_depends_on_rows_is_loaded_anew_when_they_change() -> None:
    instance = an_instance()

    def count() -> int:
        return cache.fetch(
            f"conversations:open:{instance.pk}",
            lambda: Conversation.objects.filter(instance=instance).count(),
            tags=(f"conversations:instance:{instance.pk}",),
        )

    assert count() == 0
    chat = a_chat(instance)
    assert count() == 1
    with transaction.atomic():
        chat.delete()
        assert count() == 0
    assert count() == 0


@writes_rows
def test_what_a_loader_saw_before_a_write_is_not_kept() -> None:
    row = an_instance(profile_name="old")
    tag = f"instance:{row.pk}"

    def load() -> str:
        name = Instance.objects.get(pk=row.pk).profile_name
        row.profile_name = "new"
        row.save()
        return name

    assert cache.fetch("x", load, tags=(tag,)) == "old"
    assert cache.get("x") is None
    assert cache.fetch("x", lambda: "loaded", tags=(tag,)) == "loaded"


def test_what_is_loaded_in_a_transaction_is_not_kept() -> None:
    with transaction.atomic():
        assert cache.fetch("x", lambda: 1) == 1
    assert cache.get("x") is None


def test_a_loader_that_fails_is_asked_again() -> None:
    with pytest.raises(ZeroDivisionError):
        cache.fetch("x", lambda: 1 // 0)
    assert cache.fetch("x", lambda: 1) == 1


def test_a_tag_of_no_namespace_is_an_error() -> None:
    with pytest.raises(UnknownNamespace):
        cache.fetch("x", lambda: 1, tags=("nonsense:1",))
    with pytest.raises(UnknownNamespace):
        cache.touch("nonsense:1")


# --- clear ------------------------------------------------------------------------------------------------------------
KEYS = (
    "conversations:digest:7", "conversations:digest:70", "conversations:digest:8", "conversation:7:x",
    "messages:42:a", "messages:42:b", "messages:420:a", "messages:4:a", "digest:7", "digest:70", "digest:7:@x",
    "Digest:7", "a[b]c", "user:ana", "user:ana@x",
)  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "cleared"),
    [
        ("messages:42:*", {"messages:42:a", "messages:42:b"}),
        ("messages:4?:*", {"messages:42:a", "messages:42:b"}),
        ("messages:*:a", {"messages:42:a", "messages:420:a", "messages:4:a"}),
        ("conversations:digest:7*", {"conversations:digest:7", "conversations:digest:70"}),
        ("conversations:*", {"conversations:digest:7", "conversations:digest:70", "conversations:digest:8"}),
        ("conversations:digest:[78]", {"conversations:digest:7", "conversations:digest:8"}),
        ("conversations:digest:[!7]", {"conversations:digest:8"}),
        ("conversation:*", {"conversation:7:x"}),
        ("digest:7", {"digest:7"}),
        ("digest:*", {"digest:7", "digest:70", "digest:7:@x"}),
        ("values:digest:7", {"digest:7"}),
        ("*igest:7", {"digest:7", "Digest:7", "conversations:digest:7"}),
        ("a[[]b]c", {"a[b]c"}),
        ("user:ana", {"user:ana"}),
        ("nothing*", set()),
        ("*", {*KEYS}),
    ],
)
def test_what_matches_is_cleared_in_both_tiers_and_nothing_else(
    forget: Callable[[], None], pattern: str, cleared: set[str]
) -> None:
    for key in KEYS:
        cache.set(key, key)
        cache.get(key)
    assert cache.clear(pattern) == len(cleared)
    forget()
    assert {key for key in KEYS if cache.get(key) is None} == cleared


def lists_of(instance: Instance) -> int:
    """Read an instance's lists; return how many of them were loaded."""
    counts = [get_runtime().counters.shared(runtime.namespaces.for_tag(name)) for name in ("conversations", "contacts")]
    before = sum(one.misses for one in counts)
    Conversation.objects.for_instance(instance)
    Conversation.objects.for_instance(instance, unread=True)
    Contact.objects.for_instance(instance)
    return sum(one.misses for one in counts) - before


@writes_rows
def test_lists_of_one_instance_are_cleared_and_those_of_others_stay(forget: Callable[[], None]) -> None:
    instances = [an_instance() for _ in range(12)]
    assert [lists_of(instance) for instance in instances] == [3] * 12
    chosen = instances[0]
    assert cache.clear(f"conversations:instance:{chosen.pk}:*") == 2
    forget()
    assert [lists_of(instance) for instance in instances] == [2] + [0] * 11
    assert cache.clear(f"conversations:instance:{chosen.pk}*") >= 2
    forget()
    assert lists_of(chosen) == 2


@writes_rows
def test_messages_of_one_conversation_are_cleared_and_those_of_others_stay(forget: Callable[[], None]) -> None:
    messages = [a_message(a_chat(an_instance())) for _ in range(3)]
    chats = [message.conversation for message in messages]
    for chat in chats:
        Message.objects.for_conversation(chat)
    Message.objects.filter(pk=messages[0].pk)
    assert cache.clear(f"messages:{chats[0].pk}:*") == 1
    forget()
    counts = get_runtime().counters.shared(runtime.namespaces.for_tag("messages"))
    before = counts.misses
    for chat in chats:
        Message.objects.for_conversation(chat)
    assert counts.misses - before == 1


@writes_rows
def test_rows_are_cleared_by_their_names(forget: Callable[[], None]) -> None:
    instance = an_instance()
    rows = [a_contact(instance) for _ in range(3)]
    Contact.objects.fetch_many(row.pk for row in rows)
    assert cache.clear(f"contact:{rows[0].pk}") == 1
    forget()
    counts = get_runtime().counters.shared(runtime.namespaces.for_tag("contacts"))
    before = counts.misses
    Contact.objects.fetch_many(row.pk for row in rows)
    assert counts.misses - before == 1


def test_a_value_that_is_being_loaded_while_all_is_cleared_is_not_kept() -> None:
    def load() -> int:
        cache.clear("values:x*")
        return 1

    assert cache.fetch("x", load) == 1
    assert cache.get("x") is None


@writes_rows
@pytest.mark.parametrize("clear", [lambda: cache.clear_namespace("conversations"), cache.clear_all])
def test_a_namespace_is_cleared_in_one_step(
    cache_runtime: CacheRuntime, forget: Callable[[], None], clear: Callable[[], None]
) -> None:
    instance = an_instance()
    chat = a_chat(instance)
    for _ in range(2):
        cache.set("conversations:x", 1)
        Conversation.objects.fetch(chat.pk)
        Conversation.objects.for_instance(instance)
        cache.set("messages:x", 1)
        clear()
        forget()
        counts = cache_runtime.counters.shared(cache_runtime.namespaces.for_tag("conversations"))
        before = counts.misses
        assert cache.get("conversations:x") is None
        Conversation.objects.fetch(chat.pk)
        Conversation.objects.for_instance(instance)
        assert counts.misses - before == 3
    assert cache.get("messages:x") == (None if clear is cache.clear_all else 1)


def test_a_namespace_that_is_none_cannot_be_cleared() -> None:
    with pytest.raises(UnknownNamespace):
        cache.clear_namespace("nonsense")
