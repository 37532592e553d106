"""After a known load, everything that shows counters shows the same, although processes were recycled meanwhile."""

import http.client
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests import valkey
from tests.database_file import WriteDatabase
from tests.effort import effort
from tests.waiting import wait_until

pytestmark = pytest.mark.once

KEY = "k" * 20
WORKERS = effort(2, 4)
RECYCLED = effort(4, 50)  # worker processes that end during the load
REQUESTS_OF_A_WORKER = 20


class Site:
    """A gunicorn server with several worker processes, each of which ends after some requests."""

    def __init__(self, folder: Path, redis_url: str, write_database: WriteDatabase) -> None:
        webhook, api = write_database(
            folder / "db.sqlite3",
            ("webhook_token", "sales", "--json"),
            ("api_token", "root", "--json"),
        )
        with closing(sqlite3.connect(folder / "db.sqlite3")) as database, database:
            database.execute("UPDATE auth_user SET is_superuser = 1")
        self.headers = {"Authorization": f"Token {api['token']}"}
        self.webhook = f"/webhooks/evolution/sales?token={webhook['token']}"
        self.environ = os.environ | {
            "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
            "REDIS_URL": redis_url,
            "CACHE_PREFIX": "agreement",
            "LOG_DIR": str(folder / "log"),
            "HTTPS": "false",
            "METRICS_KEY": KEY,
            "INGEST_IN_WEB_PROCESS": "false",
        }
        self.socket = socket.create_server(("127.0.0.1", 0))
        command = ["-m", "gunicorn", "--config=python:whatsai.gunicorn", f"--bind=fd://{self.socket.fileno()}"]
        options = [f"--workers={WORKERS}", f"--max-requests={REQUESTS_OF_A_WORKER}", "--threads=2"]
        with (folder / "output").open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - the test runs only the project's own command
                [sys.executable, *command, *options, "whatsai.wsgi"],
                cwd=settings.BASE_DIR,
                env=self.environ,
                pass_fds=[self.socket.fileno()],
                stdout=output,
                stderr=output,
            )

    def ask(self, path: str, headers: dict[str, str], body: bytes | None = None) -> tuple[int, str]:
        """Send one request on a connection of its own, and return the status and the content of the response."""
        host, port = self.socket.getsockname()
        with closing(http.client.HTTPConnection(host, port, timeout=60)) as connection:
            connection.request("GET" if body is None else "POST", path, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def metrics(self) -> dict[str, float]:
        """Return the value of each series in `/metrics`."""
        status, text = self.ask("/metrics", {"Authorization": f"Bearer {KEY}"})
        assert status == 200
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {series: float(value) for series, _, value in lines}

    def cache_operations(self) -> dict[str, float]:
        """Return the values that `/metrics` shows of the cache and that are not 0."""
        prefix = "whatsai_cache_operations_total"
        return {series: value for series, value in self.metrics().items() if value and series.startswith(prefix)}

    def manage(self, *command: str) -> str:
        """Return what a management command prints."""
        return subprocess.run(  # noqa: S603 - the test runs only the project's own command
            [sys.executable, "manage.py", *command],
            cwd=settings.BASE_DIR,
            env=self.environ,
            check=True,
            capture_output=True,
            text=True,
        ).stdout


@pytest.fixture
def site(tmp_path: Path, write_database: WriteDatabase) -> Iterator[Site]:
    with valkey.running() as server:
        running = Site(tmp_path, server.url, write_database)
        yield running
        running.process.terminate()
        running.process.wait(60)
        running.socket.close()


def webhook_body(number: int) -> bytes:
    return json.dumps({"event": "call", "instance": "sales", "data": {"id": f"C{number}"}}).encode()


def by_series(cache: dict[str, Any]) -> dict[str, float]:
    """Return the counters of `cache_stats --json` by the series of `/metrics` that shows them."""
    labels = 'whatsai_cache_operations_total{{namespace="{}",tier="{}",operation="{}"}}'
    return {
        labels.format(namespace, tier, name): value
        for namespace, counts in cache["namespaces"].items()
        for tier in ("local", "shared")
        for name, value in counts[tier].items()
        if value
    }


def test_all_figures_agree_after_a_load_on_recycled_processes(site: Site) -> None:
    posts = reads = RECYCLED * REQUESTS_OF_A_WORKER // 2
    for number in range(posts):
        assert site.ask(site.webhook, {}, webhook_body(number))[0] == 202
        assert site.ask("/api/v1/me/", site.headers)[0] == 200
    requests = 'whatsai_http_request_seconds_count{{route="{}",status="{}"}}'
    expected = {
        requests.format("webhook", "2xx"): posts,
        requests.format("me", "2xx"): reads,
        'whatsai_webhook_events_total{counter="received"}': posts,
    }

    def is_complete() -> bool:
        found = site.metrics()
        assert all(found.get(series, 0) <= value for series, value in expected.items())
        return all(found.get(series) == value for series, value in expected.items())

    wait_until(is_complete)
    # The API's own reads of the cache are counted within two seconds, so a comparison may fall between two reports.
    wait_until(
        lambda: site.cache_operations() == by_series(json.loads(site.ask("/api/v1/cache/stats", site.headers)[1]))
    )
    wait_until(lambda: site.cache_operations() == by_series(json.loads(site.manage("cache_stats", "--json"))))
    assert site.cache_operations()
