"""An inspected entry is what a reader would find in the store."""

import datetime as dt

import pytest
from django.utils import timezone

from cachelayer import cache
from cachelayer.ops.inspection import inspect, key_of, model_of
from cachelayer.protocol.entries import LookupStatus
from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Conversation, Instance
from tests.conversations.rows import a_chat, an_instance

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_row_is_described_until_it_changes(cache_runtime: CacheRuntime) -> None:
    chat = a_chat(an_instance(), name="Ana")
    key = key_of(Conversation, chat.pk)
    assert (key, model_of(key)) == (f"conversation:{chat.pk}", (Conversation, str(chat.pk)))
    assert inspect(cache_runtime, key, timezone.now()) is None
    Conversation.objects.fetch(chat.pk)
    entry = inspect(cache_runtime, key, timezone.now())
    assert entry is not None
    assert (entry.status, entry.is_negative, entry.other_tags) == (LookupStatus.HIT, False, 0)
    assert (entry.value["id"], entry.value["name"]) == (chat.pk, "Ana")
    assert [tag.tag for tag in entry.tags] == [key, "conversations", "*"]
    assert all(tag.is_current for tag in entry.tags)
    assert dt.timedelta() <= entry.age < dt.timedelta(minutes=5)
    assert entry.expires_at > timezone.now()
    Conversation.objects.filter(pk=chat.pk).update(name="Bia")
    entry = inspect(cache_runtime, key, timezone.now())
    assert entry is None or entry.status is LookupStatus.MISS


def test_a_missing_row_is_a_negative_entry(cache_runtime: CacheRuntime) -> None:
    with pytest.raises(Instance.DoesNotExist):
        Instance.objects.fetch(77)
    entry = inspect(cache_runtime, "instance:77", timezone.now())
    assert entry is not None
    assert (entry.status, entry.is_negative, entry.value) == (LookupStatus.HIT, True, None)
    assert [tag.tag for tag in entry.tags][-1] == "instances:new"


def test_a_value_may_depend_on_tags_that_its_key_does_not_tell(cache_runtime: CacheRuntime) -> None:
    cache.fetch("conversations:digest:7", lambda: {"open": 3}, tags=("conversations:instance:7",))
    entry = inspect(cache_runtime, "conversations:digest:7", timezone.now())
    assert entry is not None
    assert (entry.value, entry.status, entry.other_tags) == ({"open": 3}, LookupStatus.HIT, 1)
    cache.set("plain", [1, 2])
    entry = inspect(cache_runtime, "plain", timezone.now())
    assert entry is not None
    assert (entry.name, entry.value, entry.other_tags) == ("values:plain", [1, 2], 0)
    cache.clear_namespace("values")
    entry = inspect(cache_runtime, "plain", timezone.now())
    assert entry is not None
    assert entry.status is LookupStatus.MISS
    assert [tag.is_current for tag in entry.tags] == [True, False, True]


@pytest.mark.parametrize("key", ["x", "x:y:z", "nobody:1", "message:x", "instance:", "\0", "message:" + "9" * 50, "*"])
def test_any_text_is_a_key_that_may_have_no_entry(cache_runtime: CacheRuntime, key: str) -> None:
    assert inspect(cache_runtime, key, timezone.now()) is None
