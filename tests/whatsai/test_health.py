"""What a load balancer is told."""

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.db.utils import ConnectionHandler
from django.test import Client

from cachelayer.runtime.runtime import CacheRuntime, memory_store, runtime
from cachelayer.stores.base import StoreDown
from whatsai import health

pytestmark = pytest.mark.django_db

WELL = {"status": "ok", "database": "ok", "cache": "ok"}


@pytest.fixture
def dead_port() -> int:
    """A port of this machine where nobody answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def without_database(monkeypatch: pytest.MonkeyPatch, dead_port: int) -> None:
    where = {"HOST": "127.0.0.1", "PORT": dead_port, "USER": "ana", "PASSWORD": "hunter2", "NAME": "inbox"}
    elsewhere = ConnectionHandler({"default": {"ENGINE": "django.db.backends.postgresql", **where}})
    monkeypatch.setattr(health, "connection", elsewhere["default"])


@pytest.fixture
def without_cache(settings: Any, dead_port: int) -> None:
    url = f"redis://:hunter2@127.0.0.1:{dead_port}/0"
    settings.CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}}


@pytest.fixture
def own_cache() -> Iterator[CacheRuntime]:
    """A cache that nobody mends."""
    yield runtime.use_store(memory_store)
    runtime.use_configured_store(owns_cache=True)


def test_all_is_well() -> None:
    answer = Client().get("/health/")
    assert (answer.status_code, answer.json()) == (200, WELL)
    assert answer["Cache-Control"] == "no-store"


def test_a_probe_needs_no_slash_no_known_host_and_no_https(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["wa.example"]
    probe = Client(headers={"Host": "10.0.0.7:8000"})
    for path in ("/health", "/health/"):
        assert probe.get(path).json() == WELL
    assert probe.get("/admin/").status_code == 400


def test_a_probe_may_ask_for_the_head_alone() -> None:
    answer = Client().head("/health/")
    assert (answer.status_code, answer.content) == (200, b"")


def test_nothing_can_be_sent_to_it() -> None:
    answer = Client().post("/health/")
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


@pytest.mark.usefixtures("without_database")
def test_without_the_database_it_cannot_serve(caplog: pytest.LogCaptureFixture) -> None:
    answer = Client().get("/health/")
    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "database": "unavailable", "cache": "ok"}
    (record,) = [record for record in caplog.records if record.name == "whatsai.database"]
    assert (record.levelname, record.exc_info is not None) == ("ERROR", True)
    assert "hunter2" not in caplog.text


@pytest.mark.usefixtures("without_cache")
def test_without_the_cache_it_is_only_slower(caplog: pytest.LogCaptureFixture) -> None:
    answer = Client().get("/health/")
    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "database": "ok", "cache": "unavailable"}
    (record,) = [record for record in caplog.records if record.name == "whatsai.cache"]
    assert record.levelno == logging.WARNING
    assert "hunter2" not in caplog.text


def test_while_the_cache_is_not_believed_everything_is_only_slower(own_cache: CacheRuntime) -> None:
    own_cache.breaker.trip(StoreDown("away"))
    answer = Client().get("/health/")
    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "database": "ok", "cache": "unavailable"}
    own_cache.breaker.reset()
    assert Client().get("/health/").json() == WELL


@pytest.mark.usefixtures("without_cache", "without_database")
def test_without_either_it_says_both() -> None:
    answer = Client().get("/health/")
    assert answer.json() == {"status": "unavailable", "database": "unavailable", "cache": "unavailable"}
