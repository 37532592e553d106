"""What is on the server: our keys, beside an ordinary cache of Django's and the keys of other databases."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache as django_cache  # noqa: TID251 - what is asked is whether it can be used beside ours

from cachelayer import cache
from cachelayer.background.threads import BackgroundThreads
from cachelayer.runtime.runtime import CacheRuntime, get_runtime, runtime
from conversations.cache_policy import NAMESPACES
from conversations.models import Contact, Conversation, Instance
from tests.cachelayer.conftest import believe, wait_until
from tests.conversations.rows import a_chat, an_instance
from tests.valkey import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

PREFIX = django_settings.CACHELAYER["PREFIX"]
HOUR = 60 * 60 * 1000  # milliseconds


def keys_of(server: Valkey, pattern: str = "*") -> set[str]:
    return {key.decode() for key in server.client.scan_iter(match=pattern)}


def fill() -> None:
    """Put entries of every kind there."""
    chat = a_chat(an_instance(name="Loja"), name="Ana Maria")
    Conversation.objects.fetch(chat.pk)
    Conversation.objects.fetch_many([chat.pk, chat.pk + 1])
    Contact.objects.for_instance(chat.instance_id, search="Ana Maria")
    Conversation.objects.for_instance(None, search="Ana Maria")
    Instance.objects.by_name("Loja")
    cache.set("conversations:digest:7", {"a": 1})
    cache.set("x", 1)


# --- keys -------------------------------------------------------------------------------------------------------------
def test_every_key_begins_with_the_prefix_and_says_what_it_is(server: Valkey) -> None:
    fill()
    for key in keys_of(server):
        assert re.fullmatch(rf"{PREFIX}:(t:[^@]+|e:.+@[0-9a-f]+|run|probe)", key), key
    entries = {key.removeprefix(f"{PREFIX}:e:").rpartition("@")[0] for key in keys_of(server, f"{PREFIX}:e:*")}
    pk, instance = Conversation.objects.get().pk, Instance.objects.get().pk
    assert {f"conversation:{pk}", f"conversation:{pk + 1}", "conversations:digest:7", "values:x"} < entries
    assert any(re.fullmatch(rf"contacts:instance:{instance}:[0-9a-f]{{32}}", name) for name in entries)


def test_no_key_tells_what_was_searched_for(server: Valkey) -> None:
    fill()
    assert not [key for key in keys_of(server) if "Ana" in key or "Loja" in key]


def test_every_entry_ends_and_so_does_every_tag_that_is_no_namespace(server: Valkey) -> None:
    fill()
    longest = max(namespace.ttl for namespace in NAMESPACES) * 1000
    for key in keys_of(server, f"{PREFIX}:e:*"):
        assert 0 < server.client.pttl(key) <= longest * 1.1
    for key in keys_of(server, f"{PREFIX}:t:*:*"):
        assert longest * 1.1 < server.client.pttl(key) <= 2 * HOUR
    names = {*runtime.namespaces}
    assert all(server.client.pttl(f"{PREFIX}:t:{namespace.name}") == -1 for namespace in names)


def test_a_value_that_lives_long_has_a_tag_that_lives_as_long(server: Valkey) -> None:
    cache.set("x", 1, ttl=24 * 60 * 60)
    for key in (f"{PREFIX}:t:values:x", f"{PREFIX}:e:values:x@1"):
        assert 23 * HOUR < server.client.pttl(key) <= 24 * HOUR


# --- an ordinary cache beside it --------------------------------------------------------------------------------------
def test_the_ordinary_cache_can_be_used_beside_ours(server: Valkey) -> None:
    fill()
    django_cache.set("conversations:digest:7", "theirs", 60)
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
    assert django_cache.get("conversations:digest:7") == "theirs"
    assert not [key for key in keys_of(server) if not key.startswith((PREFIX, ":1:"))]


def test_clearing_the_ordinary_cache_empties_ours_too_and_no_read_is_wrong(server: Valkey) -> None:
    """Django's way is to flush the database."""
    row = an_instance(profile_name="old")
    Instance.objects.fetch(row.pk)
    django_cache.clear()
    assert Instance.objects.fetch(row.pk, fresh=True) == row
    row.profile_name = "new"
    row.save()
    for fresh in (False, True):
        assert Instance.objects.fetch(row.pk, fresh=fresh).profile_name == "new"
    believe(get_runtime())
    Instance.objects.fetch(row.pk)
    assert keys_of(server, f"{PREFIX}:e:instance:{row.pk}@*")


# --- two databases on one server --------------------------------------------------------------------------------------
@pytest.fixture
def services(server: Valkey, settings: Any) -> Iterator[list[CacheRuntime]]:  # noqa: ARG001 - they are on it
    """Services of two prefixes, one of which is the other's beginning."""
    made = []
    for prefix in ("shop", "shop-test"):
        settings.CACHELAYER = {"PREFIX": prefix}
        now = CacheRuntime(runtime.namespaces)
        now.make_threads = BackgroundThreads
        now.use_configured_store()
        now.store.reinitialize(quarantine=False)
        believe(now)
        made.append(now)
    settings.CACHELAYER = {"PREFIX": PREFIX}
    yield made
    for now in made:
        if now.threads is not None:
            now.threads.stop()


def test_services_of_two_prefixes_know_nothing_of_each_other(services: list[CacheRuntime]) -> None:
    one, other = services
    tags = ["conversation:1", "conversations", "*"]
    for now in services:
        states, _ = now.store.claim_versions(tags, "", 0)
        now.store.fill([("conversation:1@1", b"+0000" + b"".join(state or b"" for state in states), 60_000)], "")
        now.local.put(now.local.namespaces["conversations"], 1, lambda: 1, tuple(tags), 60, now.local.sequence())
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
    hears_the_rest(other)
    assert other.local.namespaces["conversations"].entries


def hears_the_rest(now: CacheRuntime) -> None:
    """Wait until all that was announced so far has been heard."""
    since = now.local.valid_until
    wait_until(lambda: now.local.valid_until > since)
