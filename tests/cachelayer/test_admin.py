"""The admin's page of the cache, as people see it who may look, and who may clear."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from cachelayer import cache
from cachelayer.ops import statistics
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.write import outbox

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]
PAGE, CLEAR = "admin:cachelayer_countertotal_changelist", "admin:cachelayer_countertotal_clear"
Staff = Callable[..., Client]


@pytest.fixture
def staff() -> Staff:
    def log_in(*codenames: str) -> Client:
        user = User.objects.create_user("ines", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return log_in


def shown(client: Client) -> str:
    return client.get(reverse(PAGE)).content.decode()


def test_it_shows_policy_counts_and_events(staff: Staff) -> None:
    statistics.increment(
        {
            ("conversations", "local", "hits"): 1003,
            ("conversations", "shared", "misses"): 3,
            ("events", "", "recoveries"): 2,
        }
    )
    page = shown(staff("view_countertotal"))
    for words in ("conversations", "30 min, 1000 items", "1003", "99.70%", "recoveries", "In use."):
        assert words in page
    assert reverse(CLEAR) not in page


def test_it_says_what_is_wrong(staff: Staff, cache_runtime: CacheRuntime) -> None:
    client = staff("view_countertotal")
    outbox.record("default", ["contact:1"])
    cache_runtime.breaker.is_closed = False
    page = shown(client)
    assert "The store is away" in page
    assert "1 write waits in the outbox" in page


@pytest.mark.parametrize(
    ("asked", "survives"),
    [
        ({"pattern": "conversations:digest:7*"}, {"messages:7"}),
        ({"namespace": "conversations"}, {"messages:7"}),
        ({"all": "1"}, set()),
        ({"reset": "1"}, {"conversations:digest:7", "messages:7"}),
        ({"namespace": "nonsense"}, {"conversations:digest:7", "messages:7"}),
        ({}, {"conversations:digest:7", "messages:7"}),
    ],
)
def test_it_clears_what_is_asked_for(staff: Staff, asked: dict[str, str], survives: set[str]) -> None:
    client = staff("view_countertotal", "change_countertotal")
    statistics.increment({("conversations", "local", "hits"): 1003})
    for key in ("conversations:digest:7", "messages:7"):
        cache.set(key, key)
    answer = client.post(reverse(CLEAR), asked, follow=True)
    assert answer.status_code == 200
    assert answer.context["messages"]
    assert {key for key in ("conversations:digest:7", "messages:7") if cache.get(key)} == survives
    assert ("1003" in answer.content.decode()) is (asked != {"reset": "1"})


def test_who_may_not_is_refused(staff: Staff) -> None:
    client = staff("view_countertotal")
    cache.set("messages:7", "kept")
    assert client.post(reverse(CLEAR), {"all": "1"}).status_code == 403
    assert cache.get("messages:7") == "kept"
    assert client.post(reverse(PAGE)).status_code == 200
    client.logout()
    assert client.get(reverse(PAGE)).status_code == 302


def test_who_may_not_look_sees_nothing(staff: Staff) -> None:
    assert staff("view_conversation").get(reverse(PAGE)).status_code == 403
