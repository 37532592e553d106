"""The health check tells load balancers whether the process, the database and the cache work."""

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import ProgrammingError
from django.db.utils import ConnectionHandler
from django.test import Client

from cachelayer import REDIS_OPTIONS
from cachelayer.runtime.runtime import CacheRuntime, memory_store, runtime
from cachelayer.stores.base import StoreDown
from logs.line_limit import BURST_SECONDS, LINES_PER_SECOND
from whatsai import health

pytestmark = pytest.mark.django_db

BURST_LINES = int(BURST_SECONDS * LINES_PER_SECOND)  # lines of one kind that may be logged at once
HEALTHY = {"status": "ok", "database": "ok", "cache": "ok", "requests": "ok"}


@pytest.fixture
def dead_port() -> int:
    """Return a local TCP port on which no server listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def without_database(monkeypatch: pytest.MonkeyPatch, dead_port: int) -> None:
    address = {"HOST": "127.0.0.1", "PORT": dead_port, "USER": "ana", "PASSWORD": "hunter2", "NAME": "inbox"}
    handler = ConnectionHandler({"default": {"ENGINE": "django.db.backends.postgresql", **address}})
    monkeypatch.setattr(health, "connection", handler["default"])


@pytest.fixture
def without_cache(settings: Any, dead_port: int) -> Iterator[None]:
    url, before = f"redis://:hunter2@127.0.0.1:{dead_port}/0", settings.CACHES
    settings.CACHES = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url, "OPTIONS": REDIS_OPTIONS}
    }
    runtime.use_configured_store()
    yield
    settings.CACHES = before
    runtime.use_configured_store(owns_cache=True)


@pytest.fixture
def cache_without_recovery() -> Iterator[CacheRuntime]:
    """Replace the cache of the process by a cache in memory, which has no recovery thread."""
    yield runtime.use_store(memory_store)
    runtime.use_configured_store(owns_cache=True)


def test_a_healthy_process_answers_ok() -> None:
    answer = Client().get("/health/")
    assert (answer.status_code, answer.json()) == (200, HEALTHY)
    assert answer["Cache-Control"] == "no-store"


def test_a_probe_needs_no_slash_no_known_host_and_no_https(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["wa.example"]
    probe = Client(headers={"Host": "10.0.0.7:8000"})
    for path in ("/health", "/health/"):
        assert probe.get(path).json() == HEALTHY
    assert probe.get("/admin/").status_code == 400


def test_head_requests_are_answered() -> None:
    answer = Client().head("/health/")
    assert (answer.status_code, answer.content) == (200, b"")


def test_other_methods_are_not_allowed() -> None:
    answer = Client().post("/health/")
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


@pytest.mark.usefixtures("without_database")
def test_without_the_database_the_status_is_503(caplog: pytest.LogCaptureFixture) -> None:
    answer = Client().get("/health/")
    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "database": "unavailable", "cache": "ok", "requests": "ok"}
    (record,) = [record for record in caplog.records if record.name == "whatsai.database"]
    assert (record.levelname, record.exc_info) == ("ERROR", None)
    assert record.getMessage().startswith("Health FAILED: the database does not answer: connection failed")
    assert "hunter2" not in caplog.text


@pytest.mark.usefixtures("without_cache")
def test_without_the_cache_the_status_is_degraded(caplog: pytest.LogCaptureFixture) -> None:
    answer = Client().get("/health/")
    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "database": "ok", "cache": "unavailable", "requests": "ok"}
    (record,) = [record for record in caplog.records if record.name == "whatsai.cache"]
    assert (record.levelno, record.exc_info) == (logging.WARNING, None)
    assert "Connection refused" in record.getMessage()
    assert "hunter2" not in caplog.text


def test_while_the_circuit_breaker_is_open_the_status_is_degraded(cache_without_recovery: CacheRuntime) -> None:
    cache_without_recovery.breaker.trip(StoreDown("away"))
    answer = Client().get("/health/")
    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "database": "ok", "cache": "unavailable", "requests": "ok"}
    cache_without_recovery.breaker.reset(0)
    assert Client().get("/health/").json() == HEALTHY


@pytest.mark.usefixtures("without_cache", "without_database")
def test_without_database_and_cache_both_are_reported() -> None:
    answer = Client().get("/health/")
    assert answer.json() == {
        "status": "unavailable",
        "database": "unavailable",
        "cache": "unavailable",
        "requests": "ok",
    }


@pytest.mark.usefixtures("without_cache", "without_database")
def test_probes_during_an_outage_write_a_bounded_number_of_short_lines(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(10 * BURST_LINES):
        Client().get("/health/")
    for name in ("whatsai.database", "whatsai.cache"):
        lines = [record.getMessage() for record in caplog.records if record.name == name]
        assert 0 < len(lines) <= 2 * BURST_LINES
        assert not any("\n" in line for line in lines)


def test_an_unexpected_database_error_is_logged_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def cursor(self) -> None:
            raise ProgrammingError("a bug")

    monkeypatch.setattr(health, "connection", Broken())
    assert Client().get("/health/").status_code == 503
    (record,) = [record for record in caplog.records if record.name == "whatsai.database"]
    assert record.exc_info is not None


class Threads:
    """Threads of which some are stuck."""

    def __init__(self, stuck: int, count: int = 8) -> None:
        self.stuck, self.count = stuck, count

    def count_stuck(self, seconds: float) -> int:
        return self.stuck if seconds >= 30 else self.count


@pytest.mark.parametrize(
    ("stuck", "status", "state", "code"),
    [
        (0, "ok", "ok", 200),
        (1, "degraded", "degraded", 200),
        (7, "degraded", "degraded", 200),
        (8, "unavailable", "unavailable", 503),
    ],
)
def test_threads_that_are_stuck_in_requests_are_reported(
    stuck: int, status: str, state: str, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    health.watch(Threads(stuck))
    answer = Client().get("/health/")
    health.watch(Threads(0))
    assert answer.status_code == code
    assert answer.json() == {"status": status, "database": "ok", "cache": "ok", "requests": state}
    assert (f"{stuck} of 8 threads" in caplog.text) == (stuck > 0)


def test_readiness_is_the_health_check() -> None:
    assert Client().get("/readyz").json() == HEALTHY
    assert Client().post("/healthz").status_code == 405


@pytest.mark.usefixtures("without_cache", "without_database")
def test_a_process_lives_without_database_and_cache() -> None:
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "requests": "ok"})
