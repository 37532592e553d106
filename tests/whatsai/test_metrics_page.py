"""The page `/metrics` shows the sums of all processes to those who have the key."""

import io
import json
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from cachelayer.ops import statistics
from conversations.ingest import metrics
from conversations.models import Instance

pytestmark = pytest.mark.django_db

KEY = "k" * 20


@pytest.fixture(autouse=True)
def _key(settings: Any) -> None:
    settings.METRICS_KEY = KEY


def scrape(**headers: str) -> Any:
    return Client(headers={"Authorization": f"Bearer {KEY}", **headers}).get("/metrics")


def test_the_page_shows_the_sums_of_all_processes() -> None:
    statistics.increment({("messages", "local", "hits"): 3, ("events", "", "outages"): 2})
    for name in ("sales", "support"):
        metrics.add_to_totals({(Instance.objects.create(name=name).pk, "received"): 5})
    answer = scrape()
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = answer.content.decode().splitlines()
    assert 'whatsai_cache_operations_total{namespace="messages",tier="local",operation="hits"} 3' in lines
    assert 'whatsai_cache_events_total{event="outages"} 2' in lines
    assert 'whatsai_webhook_events_total{counter="received"} 10' in lines


def test_all_views_of_the_counters_agree(admin_client: Client) -> None:
    counts = {
        (tier, name): 1000 + number for number, (tier, name) in enumerate((("local", "hits"), ("shared", "fills")))
    }
    statistics.increment({("messages", *key): value for key, value in counts.items()})
    page = admin_client.get("/admin/cachelayer/countertotal/").content.decode()
    api = admin_client.get("/api/v1/cache/stats/").json()["namespaces"]["messages"]
    output = io.StringIO()
    call_command("cache_stats", "--json", stdout=output)
    command = json.loads(output.getvalue())["namespaces"]["messages"]
    metrics_page = scrape().content.decode()
    for (tier, name), value in counts.items():
        assert re.search(rf"<td[^>]*>{value}</td>", page)
        assert api[tier][name] == command[tier][name] == value
        series = f'{{namespace="messages",tier="{tier}",operation="{name}"}} {value}\n'
        assert f"whatsai_cache_operations_total{series}" in metrics_page


def test_without_a_key_in_the_settings_the_page_does_not_exist(settings: Any) -> None:
    settings.METRICS_KEY = ""
    for header in ("Bearer ", "Bearer", ""):
        assert scrape(Authorization=header).status_code == 404


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", f"Basic {KEY}", f"Bearer {KEY}x", "Bearer ä"])
def test_without_the_right_key_the_page_is_refused(header: str) -> None:
    answer = scrape(Authorization=header)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert b"whatsai" not in answer.content


def test_prometheus_needs_no_known_host_and_no_https(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["wa.example"]
    assert scrape(Host="10.0.0.7:8000").status_code == 200


def test_other_methods_are_not_allowed() -> None:
    assert Client().post("/metrics").status_code == 405


def test_gauges_name_the_instances() -> None:
    for name, state in (("sales", "open"), ("support", "close"), ("cloud", "unknown")):
        Instance.objects.create(name=name, state=state)
    found = scrape().content.decode()
    assert re.findall(r'whatsai_instance_up\{id="\d+",instance="(\w+)"\} (\d)', found) == [
        ("sales", "1"),
        ("support", "0"),
    ]
    assert 'whatsai_instances{state="close"} 1\n' in found
    assert "whatsai_events_waiting 0\n" in found


def test_a_scrape_takes_a_constant_number_of_queries(django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        Instance.objects.create(name=str(number), state="open")
    with django_assert_max_num_queries(13):
        assert scrape().status_code == 200
