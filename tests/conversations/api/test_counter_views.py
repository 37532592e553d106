"""The counters of an answer are those of the database at once, and a change recounts one instance alone."""

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from cachelayer import cache
from cachelayer.read.dependencies import collecting
from conversations.models import Conversation
from conversations.models.conversation_counters import UNREAD_MESSAGES, fetch_counters
from tests.cachelayer.conftest import cache_runtime  # noqa: F401 - a fixture
from tests.conversations.rows import a_chat, a_group, a_message, an_instance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]


def test_the_answer_has_each_instance_and_the_total(get: Callable[..., Any]) -> None:
    one, two = an_instance(), an_instance()
    a_chat(one, unread_count=2, is_archived=True)
    a_group(two, unread_count=3)
    a_chat(two, is_deleted=True)
    answer = get("conversations/counters/", instance=f"{one.pk},{two.pk}")
    first, second = answer["results"]
    assert (first.pop("instance_id"), second.pop("instance_id")) == (one.pk, two.pk)
    kinds = dict.fromkeys(("broadcast", "direct", "group", "newsletter", "other", "status"), 0)
    zero = dict.fromkeys(("archived", "muted", "pinned"), 0)
    assert first == zero | {
        "conversations": 1,
        "archived": 1,
        "unread": 1,
        "unread_not_archived": 0,
        "unread_messages": 2,
        "by_kind": kinds | {"direct": 1},
    }
    assert second == zero | {
        "conversations": 1,
        "unread": 1,
        "unread_not_archived": 1,
        "unread_messages": 3,
        "by_kind": kinds | {"group": 1},
    }
    both = [first.pop("by_kind"), second.pop("by_kind")]
    total = answer["total"]
    assert total.pop("by_kind") == {kind: both[0][kind] + both[1][kind] for kind in kinds}
    assert total == {name: first[name] + second[name] for name in first}


def counts_of(api: APIClient, pk: int, name: str) -> int:
    """Return a counter of an instance, which is also the total, because only one instance has conversations."""
    answer = api.get("/api/v1/conversations/counters/").json()
    (counters,) = [one for one in answer["results"] if one["instance_id"] == pk]
    count: int = counters["by_kind"][name] if name in counters["by_kind"] else counters[name]
    total = answer["total"]["by_kind"] if name in counters["by_kind"] else answer["total"]
    assert total[name] == count
    return count


CHANGES: dict[str, tuple[str, int, Callable[[Conversation], object]]] = {
    "archive": ("archived", 1, lambda row: Conversation.objects.archive(row.pk)),
    "pin": ("pinned", 1, lambda row: Conversation.objects.pin(row.pk)),
    "read": ("unread", -1, lambda row: Conversation.objects.mark_read(row.pk)),
    "a new message": (UNREAD_MESSAGES, 1, lambda row: (a_message(row), Conversation.objects.recount(row.pk))),
    "a new conversation": ("conversations", 1, lambda row: a_chat(row.instance)),
    "delete": ("direct", -1, lambda row: Conversation.objects.filter(pk=row.pk).delete()),
    "deleted on the phone": (
        "conversations",
        -1,
        lambda row: Conversation.objects.filter(pk=row.pk).update(is_deleted=True),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_counted_at_once(api: APIClient, change: str) -> None:
    name, difference, operate = CHANGES[change]
    row = a_chat(an_instance())
    a_message(row)
    Conversation.objects.recount(row.pk)
    before = counts_of(api, row.instance_id, name)
    operate(row)
    assert counts_of(api, row.instance_id, name) == before + difference


def test_the_number_of_queries_is_constant_and_a_change_recounts_one_instance_alone() -> None:
    chats = [a_chat(an_instance()) for _ in range(5)]

    def queries() -> list[str]:
        with cache.fresh(), CaptureQueriesContext(connection) as captured:
            fetch_counters(None)
        return [query["sql"] for query in captured]

    cold = queries()
    assert queries() == []
    Conversation.objects.pin(chats[0].pk)
    warm = queries()
    assert len(cold) == 1 + len(warm)  # the cold ones read the instances too
    assert all(f"({chats[0].instance_id})" in sql for sql in warm)
    cache.clear_all()
    for _ in range(20):
        a_chat(an_instance())
    assert len(queries()) == len(cold)


def test_the_end_of_a_mute_is_counted_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now().replace(second=0, microsecond=0)
    row = a_chat(an_instance(), muted_until=now + dt.timedelta(minutes=5, seconds=30))
    for minutes, muted, longest in ((0, 1, 271), (5, 1, 1), (6, 0, None)):
        monkeypatch.setattr(timezone, "now", lambda minutes=minutes: now + dt.timedelta(minutes=minutes, seconds=59))
        with collecting() as collected:
            assert fetch_counters([row.instance_id])[row.instance_id]["muted"] == muted
        assert longest is None or collected.expires_at <= time.time() + longest
        assert len(Conversation.objects.for_instance(row.instance_id, muted=True).rows) == muted
