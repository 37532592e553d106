"""At log level DEBUG, each cached read is logged with entry, tier and duration; at INFO, logging costs nothing."""

import logging

import pytest

from cachelayer import cache
from cachelayer.runtime.local_cache import Entry
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import StoreDown
from conversations.models import Contact, Conversation
from logs.testing import capture
from tests.conversations.rows import a_chat, a_contact, an_instance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]


def test_misses_and_hits_are_logged_with_tier_and_duration() -> None:
    conversation = a_chat(an_instance())
    with capture() as logged:
        for fresh in (False, False, True):
            Conversation.objects.fetch(conversation.pk, fresh=fresh)
    tag = f"conversation:{conversation.pk}"
    lines = [line for line in logged.matching(context="cache", level="DEBUG") if tag in line["message"]]
    assert [(line["message"], line["tier"]) for line in lines] == [
        (f"Cache MISS {tag}", "database"),
        (f"Cache HIT {tag}", "local"),
        (f"Cache HIT {tag}", "shared"),
    ]
    assert all(0 <= line["duration_ms"] < 10_000 for line in lines)


def test_a_bypass_is_logged(cache_runtime: CacheRuntime) -> None:
    conversation = a_chat(an_instance())
    cache_runtime.breaker.trip(StoreDown("no answer"))
    with capture() as logged:
        Conversation.objects.fetch(conversation.pk)
    assert logged.one(message=f"Cache BYPASS conversation:{conversation.pk}")["tier"] == "database"


def test_reads_of_many_rows_are_logged_in_one_line_a_tier() -> None:
    instance = an_instance()
    pks = [a_contact(instance).pk for _ in range(5)]
    Contact.objects.fetch_many(pks[:2])
    with capture() as logged:
        Contact.objects.fetch_many(pks, fresh=True)
    assert logged.one(message="Cache HIT contacts", tier="shared")["count"] == 2
    assert logged.one(message="Cache MISS contacts", tier="database")["count"] == 3


def test_the_values_of_filters_are_not_logged() -> None:
    instance = an_instance()
    with capture() as logged:
        for _ in range(2):
            Conversation.objects.for_instance(instance, label="Maria da Silva")
    assert logged.matching(message=f"conversations:instance:{instance.pk}", tier="local")
    assert "Maria" not in str(logged)


def test_a_hit_costs_nothing_while_debug_is_off(cache_runtime: CacheRuntime) -> None:
    with capture(logging.INFO) as logged:
        cache.set("conversations:x", [1])
        assert cache.get("conversations:x") == [1]  # the hit in the store fills the local cache
        assert cache.get("conversations:x") == [1]
    (entry,) = _entries(cache_runtime, "conversations:x")
    assert entry.load.__qualname__ == [1].copy.__qualname__, "the factory is wrapped"
    assert not logged


def _entries(runtime: CacheRuntime, key: str) -> list[Entry]:
    return [local.entries[key] for local in runtime.local.namespaces.values() if key in local.entries]
