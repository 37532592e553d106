"""Names and expiry of the cache keys on a Redis server that Django's own cache and other databases also use."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache as django_cache  # noqa: TID251 - the tests use cachelayer beside Django's cache

from cachelayer import cache
from cachelayer.background.threads import BackgroundThreads
from cachelayer.protocol.entries import FORMAT, EntryKey, Kind, pack
from cachelayer.runtime.runtime import CacheRuntime, get_runtime, runtime
from cachelayer.stores.base import Store
from cachelayer.stores.redis import RedisStore
from cachelayer.stores.replies import MAX_VALUE_BYTES
from conversations.cache_policy import NAMESPACES
from conversations.models import Contact, Conversation, Instance
from tests.cachelayer.conftest import wait_until_in_use
from tests.conversations.rows import a_chat, an_instance
from tests.valkey import Valkey
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

PREFIX = django_settings.CACHELAYER["PREFIX"]
BODY = pack(EntryKey("conversation:1", ("conversation:1", "conversations", "*")), Kind.PRESENT, 1, b"")
HOUR = 60 * 60 * 1000  # in milliseconds


def keys_on(valkey_server: Valkey, pattern: str = "*") -> set[str]:
    return {key.decode() for key in valkey_server.client.scan_iter(match=pattern)}


def fill() -> None:
    """Fill the cache with entries of each kind."""
    chat = a_chat(an_instance(name="Loja"), name="Ana Maria")
    Conversation.objects.fetch(chat.pk)
    Conversation.objects.fetch_many([chat.pk, chat.pk + 1])
    Contact.objects.for_instance(chat.instance_id)
    Conversation.objects.for_instance(None, label="Ana Maria")
    Instance.objects.by_name("Loja")
    cache.set("conversations:digest:7", {"a": 1})
    cache.set("x", 1)


# --- keys -------------------------------------------------------------------------------------------------------------
def test_every_key_begins_with_the_prefix_and_its_kind(valkey_server: Valkey) -> None:
    fill()
    for key in keys_on(valkey_server):
        assert re.fullmatch(rf"{PREFIX}:(t:[^@]+|e:.+@[0-9a-f]+|server|database)", key), key
    names = {key.removeprefix(f"{PREFIX}:e:").rpartition("@")[0] for key in keys_on(valkey_server, f"{PREFIX}:e:*")}
    pk, instance = Conversation.objects.get().pk, Instance.objects.get().pk
    assert {f"conversation:{pk}", f"conversation:{pk + 1}", "conversations:digest:7", "values:x"} < names
    assert any(re.fullmatch(rf"contacts:instance:{instance}:[0-9a-f]{{32}}", name) for name in names)


def test_no_key_contains_search_terms(valkey_server: Valkey) -> None:
    fill()
    assert not [key for key in keys_on(valkey_server) if "Ana" in key or "Loja" in key]


def test_entries_and_tags_expire_except_namespaces(valkey_server: Valkey) -> None:
    fill()
    longest = max(namespace.ttl for namespace in NAMESPACES) * 1000
    for key in keys_on(valkey_server, f"{PREFIX}:e:*"):
        assert 0 < valkey_server.client.pttl(key) <= longest * 1.1
    for key in keys_on(valkey_server, f"{PREFIX}:t:*:*"):
        assert longest * 1.1 < valkey_server.client.pttl(key) <= 2 * HOUR
    assert all(valkey_server.client.pttl(f"{PREFIX}:t:{namespace.name}") == -1 for namespace in runtime.namespaces)


def test_the_tag_of_a_value_lives_as_long_as_the_value(valkey_server: Valkey) -> None:
    cache.set("x", 1, ttl=24 * 60 * 60)
    for key in (f"{PREFIX}:t:values:x", f"{PREFIX}:e:values:x@{FORMAT}"):
        assert 23 * HOUR < valkey_server.client.pttl(key) <= 24 * HOUR


# --- Django's cache ---------------------------------------------------------------------------------------------------
def test_djangos_cache_can_be_used_beside_this_one(valkey_server: Valkey) -> None:
    fill()
    django_cache.set("conversations:digest:7", "of Django", 60)
    django_cache.set_many({"a": 1, "b": [2]})
    assert django_cache.incr("a") == 2
    assert django_cache.get_or_set("c", lambda: {"c": 3}) == {"c": 3}
    assert django_cache.get_many(["a", "b", "nothing"]) == {"a": 2, "b": [2]}
    django_cache.delete("b")
    assert django_cache.get("b") is None
    assert cache.get("conversations:digest:7") == {"a": 1}
    assert cache.get("a") is None
    assert cache.clear("*") > 0
    cache.clear_all()
    assert django_cache.get("conversations:digest:7") == "of Django"
    assert not [key for key in keys_on(valkey_server) if not key.startswith((PREFIX, ":1:"))]


def test_clearing_djangos_cache_empties_this_one_and_makes_no_stale_read(valkey_server: Valkey) -> None:
    """The `clear` of django-redis flushes the whole Redis database, also the keys of `cachelayer`."""
    row = an_instance(profile_name="old")
    Instance.objects.fetch(row.pk)
    django_cache.clear()
    assert Instance.objects.fetch(row.pk, fresh=True) == row
    row.profile_name = "new"
    row.save()
    for fresh in (False, True):
        assert Instance.objects.fetch(row.pk, fresh=fresh).profile_name == "new"
    wait_until_in_use(get_runtime())
    Instance.objects.fetch(row.pk)
    assert keys_on(valkey_server, f"{PREFIX}:e:instance:{row.pk}@*")


# --- two databases on one server --------------------------------------------------------------------------------------
@pytest.fixture
def runtimes(valkey_server: Valkey, settings: Any) -> Iterator[list[CacheRuntime]]:  # noqa: ARG001 - the runtimes use the server
    """Two cache runtimes on one server with the key prefixes `shop` and `shop-test`."""
    created = []
    for prefix in ("shop", "shop-test"):
        settings.CACHELAYER = {"PREFIX": prefix}
        other = CacheRuntime(runtime.namespaces)
        other.make_threads = BackgroundThreads
        other.use_configured_store()
        other.store.reinitialize(quarantine=False)
        wait_until_in_use(other)
        created.append(other)
    settings.CACHELAYER = {"PREFIX": PREFIX}
    yield created
    for other in created:
        if other.threads is not None:
            other.threads.stop()


def test_caches_with_two_prefixes_do_not_affect_each_other(runtimes: list[CacheRuntime]) -> None:
    one, other = runtimes
    tags = ["conversation:1", "conversations", "*"]
    for each in runtimes:
        states, _ = each.store.claim_versions(tags, "", 0)
        each.store.fill([("conversation:1@1", BODY + b"".join(state or b"" for state in states), 60_000)], "")
        each.local.put(each.local.namespaces["conversations"], 1, lambda: 1, tuple(tags), 60, each.local.sequence())
    before = other.store.read(["conversation:1@1"], tags)
    one.store.begin(b"w" * 16, tags)
    one.store.end(b"w" * 16, tags)
    one.store.touch(["conversations"])
    assert one.store.remove("*") == 1
    one.store.announce("conversation:1")
    assert other.store.read(["conversation:1@1"], tags) == before
    assert list(other.store.entry_names("*")) == ["conversation:1@1"]
    assert list(one.store.entry_names("*")) == []
    assert not one.local.namespaces["conversations"].entries
    wait_for_messages(other)
    assert other.local.namespaces["conversations"].entries


def wait_for_messages(cache_runtime: CacheRuntime) -> None:
    """Wait until a runtime has received all invalidation messages sent so far: a ping's reply arrives after them."""
    before = cache_runtime.local.valid_until
    wait_until(lambda: cache_runtime.local.valid_until > before)


# --- scripts that are sent twice --------------------------------------------------------------------------------------
TAG = "conversation:1"


@pytest.fixture
def other_store() -> RedisStore:
    """The store as another process uses it."""
    return RedisStore("default", PREFIX, "other", runtime.namespaces, [b"key"], lambda _: None, lambda _: None)


def version_of(store: Store) -> bytes | None:
    (state,) = store.read([], [TAG])[1]
    return state


def test_an_end_that_is_sent_again_does_not_bring_back_an_old_version(
    valkey_server: Valkey, other_store: RedisStore
) -> None:
    """Entries filled before another write must stay invalid, whatever this process repeats after a lost connection."""
    store, mine, others = get_runtime().store, b"m" * 16, b"o" * 16
    wait_until_in_use(get_runtime())
    store.begin(mine, [TAG])
    store.end(mine, [TAG])
    old = version_of(other_store)
    other_store.begin(others, [TAG])
    other_store.end(others, [TAG])
    assert version_of(other_store) not in {old, None}
    valkey_server.client.client_kill_filter(_type="normal", skipme=True)
    for _ in range(5):
        store.read([], [TAG])
        assert version_of(other_store) not in {old, None}


def test_an_end_that_is_sent_again_is_not_counted_as_a_lost_intent(valkey_server: Valkey) -> None:
    store = get_runtime().store
    for number in range(3):
        write = b"%016d" % number
        store.begin(write, [TAG, "conversations:instance:1"])
        store.end(write, [TAG, "conversations:instance:1"])
        valkey_server.client.client_kill_filter(_type="normal", skipme=True)
        store.read([], [TAG])
    wait_until_in_use(get_runtime())
    wait_for_messages(get_runtime())
    assert get_runtime().counters.snapshot([]).get(("events", "", "lost intents")) is None


@pytest.mark.usefixtures("valkey_server")
def test_a_value_that_is_too_large_to_be_read_is_not_stored() -> None:
    cache.set("page", "old")
    cache.set("page", "x" * MAX_VALUE_BYTES)
    assert cache.fetch("page", lambda: "loaded") == "loaded"
    long = "x" * MAX_VALUE_BYTES
    assert [cache.fetch("long", lambda: long) == long for _ in range(2)] == [True, True]
    assert runtime.breaker.is_closed
