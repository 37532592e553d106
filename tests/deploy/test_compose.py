"""compose.yaml sets variables that the site knows, and each service is bounded, restarted and ready in time."""

import re
import signal
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.exceptions

from tests.deploy import files
from tests.deploy.running import free_port, running
from tests.devstack.servers import valkey
from tests.waiting import wait_until
from whatsai import environment

OURS = ("web", "worker", "migrate")
VALUES = {
    "DOMAIN": "inbox.example",
    "SECRET_KEY": "k" * 50,
    "POSTGRES_PASSWORD": "a1",
    "VALKEY_PASSWORD": "b2",
    "TIME_ZONE": "America/Sao_Paulo",
    "LANGUAGE_CODE": "pt-br",
    "WEB_PROCESSES": "2",
    "ALARM_EMAIL": "ana@example.com",
    "ALARM_WEBHOOK_URL": "https://chat.example/hook",
    "EMAIL_URL": "smtp+tls://user:password@mail.example",
    "EMAIL_FROM": "whatsai@inbox.example",
    "METRICS_KEY": "m" * 20,
    "PROBE_URL": "http://web:8000",
}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = files.compose()["services"]
    return services


def test_the_example_has_all_its_variables_and_no_others() -> None:
    used = {name for name, _ in files.VARIABLE.findall((files.FOLDER / "compose.yaml").read_text(encoding="utf-8"))}

    assert used == set(files.example("compose.env.example")) == set(VALUES)


@pytest.mark.parametrize("name", OURS)
def test_the_site_accepts_its_variables(
    services: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = {key: files.replace_variables(value, VALUES) for key, value in services[name]["environment"].items()}
    known = (environment.BASE_DIR / ".env.example").read_text(encoding="utf-8")
    assert all(f"# {key}=" in known for key in given.keys() - {"WEB_CONCURRENCY"})
    monkeypatch.delenv("HTTPS")
    for key, value in {**given, "ENV_FILE": "/dev/null", "LOG_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(key, value)

    site = environment.read()

    assert site.https
    assert site.public_url == "https://inbox.example"
    assert site.database["PASSWORD"] == "a1"
    assert site.redis_url == "redis://:b2@valkey:6379/0"
    assert (site.alarm_email, site.probe_url) == (["ana@example.com"], "http://web:8000")


def test_every_service_that_lasts_is_restarted(services: dict[str, Any]) -> None:
    assert {name for name, one in services.items() if one["restart"] == "no"} == {"migrate"}


@pytest.mark.parametrize("name", OURS)
def test_our_services_may_write_to_their_volume_alone(services: dict[str, Any], name: str) -> None:
    service = services[name]

    assert service["read_only"] is True
    assert service["volumes"] == ["var:/srv/whatsai/var"]
    assert service["cap_drop"] == ["ALL"]
    assert "ports" not in service


def test_only_the_proxy_can_be_reached(services: dict[str, Any]) -> None:
    assert [name for name, one in services.items() if "ports" in one] == ["proxy"]


def test_a_stop_lasts_longer_than_requests_may(services: dict[str, Any]) -> None:
    from whatsai import gunicorn  # noqa: PLC0415 - reads the environment

    (seconds,) = re.fullmatch(r"(\d+)s", services["web"]["stop_grace_period"]).groups()  # type: ignore[union-attr]
    assert int(seconds) > gunicorn.graceful_timeout


@pytest.mark.once
def test_its_store_starts_with_its_command(services: dict[str, Any], tmp_path: Path) -> None:
    binary = str(valkey(tmp_path, tmp_path)[0].command[0])
    words = [files.replace_variables(word, VALUES) for word in services["valkey"]["command"][1:]]
    port = free_port()

    with running([binary, *words, "--bind", "127.0.0.1", "--port", str(port)], tmp_path, {}) as server:
        client = redis.Redis(port=port, password="b2")
        wait_until(lambda: _answers(client))
        assert client.config_get("maxmemory*")["maxmemory-policy"] == "volatile-lru"
        assert client.config_get("maxmemory")["maxmemory"] == str(512 * 2**20)
        client.close()
        server.send_signal(signal.SIGTERM)


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False
