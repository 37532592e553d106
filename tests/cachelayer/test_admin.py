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


def get_page(client: Client) -> str:
    return client.get(reverse(PAGE)).content.decode()


def test_the_page_shows_limits_counters_and_events(staff: Staff) -> None:
    statistics.increment(
        {
            ("conversations", "local", "hits"): 1003,
            ("conversations", "shared", "misses"): 3,
            ("events", "", "recoveries"): 2,
        }
    )
    page = get_page(staff("view_countertotal"))
    for text in ("conversations", "30 min, 1000 items", "1003", "99.70%", "recoveries", "The cache is in use."):
        assert text in page
    assert reverse(CLEAR) not in page


def test_the_page_shows_an_outage_and_the_rows_in_the_outbox(staff: Staff, cache_runtime: CacheRuntime) -> None:
    client = staff("view_countertotal")
    outbox.record("default", ["contact:1"])
    cache_runtime.breaker.is_closed = False
    page = get_page(client)
    assert "The store does not answer." in page
    assert "The outbox has 1 row to apply." in page


@pytest.mark.parametrize(
    ("form", "remaining"),
    [
        ({"pattern": "conversations:digest:7*"}, {"messages:7"}),
        ({"namespace": "conversations"}, {"messages:7"}),
        ({"all": "1"}, set()),
        ({"reset": "1"}, {"conversations:digest:7", "messages:7"}),
        ({"namespace": "nonsense"}, {"conversations:digest:7", "messages:7"}),
        ({}, {"conversations:digest:7", "messages:7"}),
    ],
)
def test_each_form_clears_its_entries_or_resets_the_counters(
    staff: Staff, form: dict[str, str], remaining: set[str]
) -> None:
    client = staff("view_countertotal", "change_countertotal")
    User.objects.update(is_superuser="pattern" in form)
    statistics.increment({("conversations", "local", "hits"): 1003})
    for key in ("conversations:digest:7", "messages:7"):
        cache.set(key, key)
    response = client.post(reverse(CLEAR), form, follow=True)
    assert response.status_code == 200
    assert response.context["messages"]
    assert {key for key in ("conversations:digest:7", "messages:7") if cache.get(key)} == remaining
    assert ("1003" in response.content.decode()) is (form != {"reset": "1"})


def test_clearing_needs_the_permission_to_change(staff: Staff) -> None:
    client = staff("view_countertotal")
    cache.set("messages:7", "kept")
    assert client.post(reverse(CLEAR), {"all": "1"}).status_code == 403
    assert cache.get("messages:7") == "kept"
    assert client.post(reverse(PAGE)).status_code == 200
    client.logout()
    assert client.get(reverse(PAGE)).status_code == 302


def test_the_page_needs_the_permission_to_view(staff: Staff) -> None:
    assert staff("view_conversation").get(reverse(PAGE)).status_code == 403
