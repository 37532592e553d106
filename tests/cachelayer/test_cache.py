import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from time import monotonic
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models.signals import post_migrate

from cachelayer import cache
from cachelayer.models import Outbox
from cachelayer.protocol.codec import NotCacheable
from cachelayer.protocol.tags import UnknownNamespace
from cachelayer.runtime.runtime import CacheRuntime, get_runtime, memory_store, runtime
from conversations.cache_policy import NAMESPACES
from conversations.models import Contact, Conversation, Instance, Message
from tests.cachelayer.orm.test_rules import tags_of_write
from tests.conversations.rows import a_chat, a_contact, a_message, an_instance

pytestmark = pytest.mark.usefixtures("unblocked_db", "cache_runtime")
writes_rows = pytest.mark.django_db(transaction=True)

HOUR = 60 * 60  # in seconds
MINUTE = 60


@pytest.fixture(params=["local", "shared"])
def before_read(request: pytest.FixtureRequest, cache_runtime: CacheRuntime) -> Callable[[], None]:
    """A function that makes the next read come from the local cache or from the shared store."""
    return (lambda: None) if request.param == "local" else (lambda: cache_runtime.local.invalidate(["*"]))


class Load:
    """A loader that counts its calls, and returns the number of calls as the loaded value."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


# --- limits of the namespaces ---------------------------------------------------------------------------------------
def test_ttl_and_size_of_each_namespace() -> None:
    assert {(one.name, one.ttl, one.max_items) for one in NAMESPACES} == {
        ("conversations", 30 * MINUTE, 1000),
        ("contacts", 5 * MINUTE, 500),
        ("instances", 1 * HOUR, 100),
        ("messages", 10 * MINUTE, 2000),
        ("access", 1 * MINUTE, 1000),
        ("answers", 1 * HOUR, 1000),
    }
    assert {one.name for one in runtime.namespaces} == {one.name for one in NAMESPACES} | {"values"}


@writes_rows
def test_the_local_cache_evicts_entries_above_the_size_of_the_namespace(cache_runtime: CacheRuntime) -> None:
    instances = Instance.objects.bulk_create(Instance(name=f"{number}") for number in range(120))
    Instance.objects.fetch_many(row.pk for row in instances)
    local = cache_runtime.local.namespaces["instances"]
    assert len(local.entries) == 100
    assert local.evictions == 20
    assert len(Instance.objects.fetch_many(row.pk for row in instances)) == 120


@pytest.mark.parametrize("name", [one.name for one in NAMESPACES])
def test_the_ttl_of_entries_varies_by_a_tenth(cache_runtime: CacheRuntime, name: str) -> None:
    (namespace,) = (one for one in NAMESPACES if one.name == name)
    started = monotonic()
    for number in range(100):
        cache.fetch(f"{name}:digest:{number}", lambda: 1)
    earliest, latest = started + 0.89 * namespace.ttl, monotonic() + 1.11 * namespace.ttl
    ends = [entry.expires for entry in cache_runtime.local.namespaces[name].entries.values()]
    assert all(earliest < end < latest for end in ends)
    assert max(ends) - min(ends) > 0.1 * namespace.ttl


# --- get, set, delete -------------------------------------------------------------------------------------------------
VALUES: list[Any] = [
    0, "", None, False, [], {}, "é", 2**80, 1.5, b"\0", dt.datetime(2026, 3, 1, tzinfo=dt.UTC), dt.date(2026, 3, 1),
    Decimal("1.50"), (1, (2,)), {3}, {"a": [1, {"b": None}]}, {1: {(2, 3): 4}},
]  # fmt: skip


@pytest.mark.parametrize("key", ["x", "a:b", "conversations:digest:7", "conversations", "conversation", "é \n*[]", ""])
def test_a_value_can_be_read_until_it_is_deleted(before_read: Callable[[], None], key: str) -> None:
    for value in VALUES:
        cache.set(key, value)
        before_read()
        assert cache.get(key, "default") == value
    cache.delete(key)
    before_read()
    assert cache.get(key, "default") == "default"
    assert cache.get(key) is None
    cache.delete(key)


def test_similar_keys_are_independent(before_read: Callable[[], None]) -> None:
    keys = ["x", "values:x", "value:x", "xx", "conversations", "conversations:x", "conversation:x", "messages:x"]
    for key in keys:
        cache.set(key, key)
    cache.delete(keys[0])
    cache.set(keys[1], "new")
    before_read()
    assert [cache.get(key) for key in keys] == [None, "new", *keys[2:]]


@writes_rows
@pytest.mark.parametrize("key", ["conversations", "conversation", "conversations:all", "x"])
def test_writing_a_value_does_not_invalidate_rows_of_its_namespace(cache_runtime: CacheRuntime, key: str) -> None:
    pk = a_chat(an_instance()).pk
    Conversation.objects.fetch(pk)
    counts = cache_runtime.counters.shared(cache_runtime.namespaces.for_tag("conversations"))
    before = counts.misses
    cache.set(key, 1)
    cache.get(key)
    cache.delete(key)
    Conversation.objects.fetch(pk)
    assert counts.misses - before in (0, 1)
    assert counts.bypasses == 0


def test_a_value_without_an_encoding_is_rejected() -> None:
    with pytest.raises(NotCacheable):
        cache.set("x", object())


def test_set_removes_the_old_value_even_if_the_new_one_cannot_be_stored(cache_runtime: CacheRuntime) -> None:
    cache.set("x", "old")
    cache_runtime.store.begin(b"another-write---", ["values:x"])
    cache.set("x", "new")
    assert cache.get("x") is None
    cache_runtime.store.end(b"another-write---", ["values:x"])
    assert cache.get("x") is None


def test_a_process_that_bypasses_the_cache_stores_nothing() -> None:
    runtime.use_store(memory_store, bypasses_cache=True)
    cache.set("x", 1)
    assert cache.get("x") is None
    assert cache.fetch("x", lambda: 2) == 2
    assert cache.fetch("x", lambda: 3) == 3


@pytest.mark.parametrize("ttl", [0, -1, 0.0001])
def test_a_value_with_a_ttl_below_a_millisecond_is_not_stored(cache_runtime: CacheRuntime, ttl: float) -> None:
    for _ in range(5):
        cache.set("x", "old")
        cache.set("x", "new", ttl=ttl)
        assert cache.get("x") != "old"
    assert cache_runtime.breaker.is_closed
    cache.set("x", 1, ttl=0)
    assert cache.get("x") is None


@pytest.mark.parametrize("ttl", [3 * HOUR, 400 * 24 * HOUR, 10**12, float("inf")])
def test_a_value_with_a_very_long_ttl_is_stored(
    cache_runtime: CacheRuntime, before_read: Callable[[], None], ttl: float
) -> None:
    cache.set("x", 1, ttl=ttl)
    before_read()
    assert cache.get("x") == 1
    assert cache_runtime.breaker.is_closed


# --- fetch ------------------------------------------------------------------------------------------------------------
def test_a_value_is_loaded_once(before_read: Callable[[], None]) -> None:
    load = Load()
    for _ in range(3):
        assert cache.fetch("x", load) == 1
        before_read()
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
    before_read: Callable[[], None], key: str, tags: tuple[str, ...]
) -> None:
    load = Load()
    for tag in (*tags, "*"):
        before = cache.fetch(key, load, tags=tags)
        cache.touch("contact:1", "conversations:instance:70", "messages:420")
        if not {"conversations", "*"} & {*tags}:
            before_read()
            assert cache.fetch(key, load, tags=tags) == before
        cache.touch(tag)
        before_read()
        assert cache.fetch(key, load, tags=tags) == before + 1


@writes_rows
def test_a_value_that_depends_on_rows_is_loaded_again_when_they_change() -> None:
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
def test_a_value_loaded_before_a_concurrent_write_is_not_cached() -> None:
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


def test_a_value_loaded_in_a_transaction_is_not_cached() -> None:
    with transaction.atomic():
        assert cache.fetch("x", lambda: 1) == 1
    assert cache.get("x") is None


def test_a_loader_that_fails_is_called_again() -> None:
    with pytest.raises(ZeroDivisionError):
        cache.fetch("x", lambda: 1 // 0)
    assert cache.fetch("x", lambda: 1) == 1


def test_a_tag_without_a_namespace_is_rejected() -> None:
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
    ("pattern", "removed"),
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
def test_clear_removes_matching_entries_from_both_tiers_and_no_others(
    before_read: Callable[[], None], pattern: str, removed: set[str]
) -> None:
    for key in KEYS:
        cache.set(key, key)
        cache.get(key)
    assert cache.clear(pattern) == len(removed)
    before_read()
    assert {key for key in KEYS if cache.get(key) is None} == removed


def fetch_lists(instance: Instance) -> int:
    """Fetch three lists of an instance; return how many lists were loaded from the database."""
    counts = [get_runtime().counters.shared(runtime.namespaces.for_tag(name)) for name in ("conversations", "contacts")]
    before = sum(one.misses for one in counts)
    Conversation.objects.for_instance(instance)
    Conversation.objects.for_instance(instance, unread=True)
    Contact.objects.for_instance(instance)
    return sum(one.misses for one in counts) - before


@writes_rows
def test_a_pattern_removes_the_lists_of_one_instance_only(before_read: Callable[[], None]) -> None:
    instances = [an_instance() for _ in range(12)]
    assert [fetch_lists(instance) for instance in instances] == [3] * 12
    first = instances[0]
    assert cache.clear(f"conversations:instance:{first.pk}:*") == 2
    before_read()
    assert [fetch_lists(instance) for instance in instances] == [2] + [0] * 11
    assert cache.clear(f"conversations:instance:{first.pk}*") >= 2
    before_read()
    assert fetch_lists(first) == 2


@writes_rows
def test_a_pattern_removes_the_messages_of_one_conversation_only(before_read: Callable[[], None]) -> None:
    messages = [a_message(a_chat(an_instance())) for _ in range(3)]
    chats = [message.conversation for message in messages]
    for chat in chats:
        Message.objects.for_conversation(chat)
    Message.objects.filter(pk=messages[0].pk)
    assert cache.clear(f"messages:{chats[0].pk}:*") == 1
    before_read()
    counts = get_runtime().counters.shared(runtime.namespaces.for_tag("messages"))
    before = counts.misses
    for chat in chats:
        Message.objects.for_conversation(chat)
    assert counts.misses - before == 1


@writes_rows
def test_a_pattern_can_name_a_row(before_read: Callable[[], None]) -> None:
    instance = an_instance()
    rows = [a_contact(instance) for _ in range(3)]
    Contact.objects.fetch_many(row.pk for row in rows)
    assert cache.clear(f"contact:{rows[0].pk}") == 1
    before_read()
    counts = get_runtime().counters.shared(runtime.namespaces.for_tag("contacts"))
    before = counts.misses
    Contact.objects.fetch_many(row.pk for row in rows)
    assert counts.misses - before == 1


def test_a_value_that_is_loaded_during_a_clear_is_not_cached() -> None:
    def load() -> int:
        cache.clear("values:x*")
        return 1

    assert cache.fetch("x", load) == 1
    assert cache.get("x") is None


@writes_rows
@pytest.mark.parametrize("clear", [lambda: cache.clear_namespace("conversations"), cache.clear_all])
def test_a_namespace_or_all_entries_can_be_invalidated(
    cache_runtime: CacheRuntime, before_read: Callable[[], None], clear: Callable[[], None]
) -> None:
    instance = an_instance()
    chat = a_chat(instance)
    for _ in range(2):
        cache.set("conversations:x", 1)
        Conversation.objects.fetch(chat.pk)
        Conversation.objects.for_instance(instance)
        cache.set("messages:x", 1)
        clear()
        before_read()
        counts = cache_runtime.counters.shared(cache_runtime.namespaces.for_tag("conversations"))
        before = counts.misses
        assert cache.get("conversations:x") is None
        Conversation.objects.fetch(chat.pk)
        Conversation.objects.for_instance(instance)
        assert counts.misses - before == 3
    assert cache.get("messages:x") == (None if clear is cache.clear_all else 1)


def test_an_unknown_namespace_is_rejected() -> None:
    with pytest.raises(UnknownNamespace):
        cache.clear_namespace("nonsense")


# --- touch ------------------------------------------------------------------------------------------------------------
@writes_rows
def test_touch_in_a_transaction_invalidates_until_the_commit(cache_runtime: CacheRuntime) -> None:
    tag = f"instance:{an_instance().pk}"
    assert tags_of_write(lambda: cache.touch(tag, "messages")) == {tag, "messages"}
    assert not cache_runtime.in_flight
    assert tags_of_write(cache.touch) == set()
    cache.touch(tag)
    cache.touch("*")
    assert not cache_runtime.in_flight
    with pytest.raises(UnknownNamespace):
        cache.touch(tag, "nonsense:1")
    assert not cache_runtime.in_flight


@writes_rows
def test_a_touch_in_a_savepoint_that_is_rolled_back_ends_with_the_transaction(cache_runtime: CacheRuntime) -> None:
    row = an_instance()
    with transaction.atomic():
        savepoint = transaction.savepoint()
        cache.touch(f"instance:{row.pk}")
        transaction.savepoint_rollback(savepoint)
        assert Instance.objects.fetch(row.pk) == row
    assert not cache_runtime.in_flight


def set_profile_name(row: Instance, name: str) -> None:
    """Update a row in raw SQL, which invalidates no cache entry."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_instance SET profile_name = %s WHERE id = %s", [name, row.pk])


@writes_rows
@pytest.mark.parametrize("in_transaction", [False, True])
def test_touch_makes_a_change_by_sql_visible(cache_runtime: CacheRuntime, *, in_transaction: bool) -> None:
    row = an_instance(profile_name="old")
    assert Instance.objects.fetch(row.pk).profile_name == "old"
    if in_transaction:
        with transaction.atomic():
            cache.touch(f"instance:{row.pk}")
            set_profile_name(row, "new")
            assert Instance.objects.fetch(row.pk).profile_name == "new"
    else:
        set_profile_name(row, "new")
        cache.touch(f"instance:{row.pk}")
    assert Instance.objects.fetch(row.pk).profile_name == "new"
    assert not cache_runtime.in_flight


# --- migrations and flush ---------------------------------------------------------------------------------------------
@writes_rows
def test_flush_invalidates_all_entries(cache_runtime: CacheRuntime) -> None:
    pk = an_instance().pk
    Instance.objects.fetch(pk)
    call_command("flush", interactive=False, verbosity=0)
    with pytest.raises(Instance.DoesNotExist):
        Instance.objects.fetch(pk)
    assert not cache_runtime.in_flight


def send_post_migrate() -> None:
    config = apps.get_app_config("cachelayer")
    post_migrate.send(config, app_config=config, verbosity=0, interactive=False, using="default", plan=[], apps=apps)


@writes_rows
@pytest.mark.parametrize("migrate", [send_post_migrate, partial(call_command, "migrate", verbosity=0)])
def test_a_migration_invalidates_all_entries(migrate: Callable[[], object]) -> None:
    """A migration must invalidate all entries, because its writes through historical models invalidate none."""
    row = an_instance(profile_name="old")
    assert Instance.objects.fetch(row.pk).profile_name == "old"
    set_profile_name(row, "new")
    assert Instance.objects.fetch(row.pk).profile_name == "old"
    migrate()
    assert Instance.objects.fetch(row.pk).profile_name == "new"


@writes_rows
def test_a_migration_can_end_before_the_outbox_table_exists() -> None:
    runtime.use_store(memory_store, bypasses_cache=True)
    with connection.schema_editor() as editor:
        editor.delete_model(Outbox)
    try:
        send_post_migrate()
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(Outbox)
