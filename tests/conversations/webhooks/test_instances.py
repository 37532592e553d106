"""Validation of instance names and server URLs, and the choice of the instance to which a webhook body belongs."""

from typing import Any

import pytest

from conversations.evolution.server_url import MAX_LENGTH, normalize_server_url
from conversations.ingest import metrics
from conversations.models import Instance
from conversations.webhooks import instances
from logs import token_buckets
from tests.conversations.webhooks.conftest import SERVER, Post, event
from tests.waiting import StoppedClock


@pytest.mark.parametrize(
    "name", ["sales", "Vendas São Paulo", "客服", "a.b", "...", "👨‍👩‍👧", "n" * 255, "100%", "a?b#c"]
)
def test_a_name_may_be_any_text(name: str) -> None:
    assert instances.name_error(name) == ""


@pytest.mark.parametrize("name", ["", " ", "\t", "a/b", "/", ".", "..", "n" * 256, "a\x00b", "a\nb", "\x7f", "\ud800"])
def test_a_name_that_fits_no_url_or_cannot_be_stored_is_invalid(name: str) -> None:
    assert instances.name_error(name)
    assert instances.find_by_name(name) == []


def test_the_maximum_length_is_that_of_the_model_fields() -> None:
    max_lengths = {field.name: getattr(field, "max_length", None) for field in Instance._meta.get_fields()}  # noqa: SLF001 - Django documents the attribute _meta
    assert max_lengths["name"] == max_lengths["server_url"] == instances.MAX_LENGTH == MAX_LENGTH


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://evo.example.com", "https://evo.example.com"),
        (" https://evo.example.com// ", "https://evo.example.com"),
        ("http://evolution:8080/", "http://evolution:8080"),
        ("https://example.com/evo/", "https://example.com/evo"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_server_url_is_stored_without_trailing_slashes(text: str, url: str) -> None:
    assert normalize_server_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "evo.example.com",
        "ftp://evo.example.com",
        "https://",
        "https:///path",
        "http://evo:port",
        "http://evo:99999",
        "http://[evo",
        "https://evo example.com",
        "https://evo\x00.example.com",
        "https://user:pass@evo.example.com",
        "https://evo.example.com?apikey=1",
        "https://evo.example.com#x",
        "https://" + "e" * 255,
    ],
)
def test_an_invalid_server_url_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        normalize_server_url(text)


@pytest.mark.parametrize(
    "body", [{"instance": "support"}, {"instance": "sales"}, {}, [], None, "sales", {"instance": 7}]
)
def test_a_body_belongs_to_the_sender_unless_the_webhook_is_global(sales: Instance, body: Any) -> None:
    assert instances.resolve_instance(sales, body) == sales


def test_a_global_webhook_delivers_for_the_instances_of_its_server(sales: Instance) -> None:
    sales.is_global_webhook = True
    elsewhere, _ = Instance.objects.upsert("support", "https://other.example.com")
    found = instances.resolve_instance(sales, {"instance": "support"})
    assert (found.name, found.server_url) == ("support", SERVER)
    assert found != elsewhere
    assert not found.is_global_webhook
    assert instances.resolve_instance(sales, {"instance": "support"}) == found


def test_a_global_webhook_of_an_unknown_server_delivers_for_no_other_instance(sales: Instance) -> None:
    sales.is_global_webhook, sales.server_url = True, ""
    Instance.objects.upsert("support")
    assert instances.resolve_instance(sales, {"instance": "support"}) == sales


def test_a_global_webhook_finds_instances_under_another_spelling_of_its_server(sales: Instance) -> None:
    sales.is_global_webhook, sales.server_url = True, "http://localhost:8080"
    support, _ = Instance.objects.upsert("support", "http://127.0.0.1:8080")
    assert instances.resolve_instance(sales, {"instance": "support"}) == support


def test_resolving_an_existing_instance_does_not_write_to_it(sales: Instance) -> None:
    sales.is_global_webhook = True
    existing, _ = Instance.objects.upsert("support", SERVER)
    assert instances.resolve_instance(sales, {"instance": "support"}).updated_at == existing.updated_at
    existing.refresh_from_db()
    assert instances.resolve_instance(sales, {"instance": "support"}).updated_at == existing.updated_at


@pytest.fixture
def gateway(sales: Instance, reset_counts: None) -> Instance:  # noqa: ARG001 - the fixture resets the limits
    """Return an instance that has the global webhook of its server."""
    return Instance.objects.upsert("sales", sales.server_url, is_global_webhook=True)[0]


def test_a_global_webhook_creates_few_instances_at_once(
    gateway: Instance, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_buckets, "monotonic", clock := StoppedClock())
    monkeypatch.setattr(instances, "NEW_PER_SECOND", 3 / instances.NEW_BURST_SECONDS)
    names = [f"new-{number}" for number in range(5)]
    responses = [post(body=event(instance=name)) for name in names]
    assert [response.status_code for response in responses] == [202, 202, 202, 429, 429]
    assert responses[-1].json()["error"] == "too_many_instances"
    assert int(responses[-1]["Retry-After"]) > 0
    assert {post(body=event(instance=name)).status_code for name in ["sales", *names[:3]]} == {202}
    metrics.flush()
    assert metrics.for_instance(gateway.pk)["delayed"] == 2
    assert set(Instance.objects.values_list("name", flat=True)) == {"sales", *names[:3]}
    clock.now += instances.NEW_BURST_SECONDS
    assert post(body=event(instance=names[3])).status_code == 202


def test_a_global_webhook_creates_instances_up_to_a_maximum(
    gateway: Instance, post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(instances, "MAX_PER_SERVER", 3)
    Instance.objects.upsert("new-0", "https://other.example.com")
    with caplog.at_level("INFO"):
        statuses = [post(body=event(instance=f"new-{number}")).status_code for number in range(3)]
    assert statuses == [202, 202, 429]
    assert "Instance CREATED: a global webhook named new-1" in caplog.text
    Instance.objects.upsert("new-2", gateway.server_url)
    assert post(body=event(instance="new-2")).status_code == 202


@pytest.mark.parametrize("name", [None, 7, "", "sales", "a/b", "a\x00b", "\ud800", "n" * 256, ["support"], {"a": 1}])
def test_a_body_without_a_valid_other_name_belongs_to_the_global_webhook_itself(sales: Instance, name: object) -> None:
    sales.is_global_webhook = True
    assert instances.resolve_instance(sales, {"instance": name}) == sales
    assert Instance.objects.count() == 1
