"""After a known load, everything that shows counters shows the same, although processes were recycled meanwhile."""

import http.client
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from cachelayer.ops import statistics
from conversations.admin.home.charts import format_count, format_share
from tests import valkey
from tests.database_file import WriteDatabase
from tests.effort import effort
from tests.waiting import wait_until

pytestmark = pytest.mark.once

KEY = "k" * 20
PASSWORD = "correct horse battery"
HOME, CACHE_PAGE = "/admin/?part=live", "/admin/cachelayer/countertotal/?period=hour"
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
            database.execute(
                "UPDATE auth_user SET is_superuser = 1, is_staff = 1, password = ?",
                [PBKDF2PasswordHasher().encode(PASSWORD, "salt")],
            )
            # The plots show what was counted since the first remembered minute.
            minute = int(time.time()) // 60 - 1
            columns = "minute, messages, failed, refused, errors, cache_hits, cache_misses, lags, waiting, late"
            values = f"{minute}, 0, 0, 0, 0, 0, 0, '[]', 0, 0"
            database.execute(f"INSERT INTO conversations_minuterecord ({columns}) VALUES ({values})")  # noqa: S608 - no input
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

    def log_in(self) -> dict[str, str]:
        """Log in to the admin; return the headers of the pages that follow."""
        host, port = self.socket.getsockname()
        path = "/admin/login/"
        with closing(http.client.HTTPConnection(host, port, timeout=60)) as connection:
            connection.request("GET", path)
            csrf = _cookie(connection, "csrftoken")
        with closing(http.client.HTTPConnection(host, port, timeout=60)) as connection:
            form = {"username": "root", "password": PASSWORD, "csrfmiddlewaretoken": csrf}
            headers = {"Cookie": f"csrftoken={csrf}", "Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", path, urlencode(form), headers)
            return {"Cookie": f"sessionid={_cookie(connection, 'sessionid')}"}

    def page(self, path: str, headers: dict[str, str]) -> str:
        """Return a page of the admin."""
        status, text = self.ask(path, headers)
        assert status == 200
        return text

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


def _cookie(connection: http.client.HTTPConnection, name: str) -> str:
    response = connection.getresponse()
    response.read()
    cookies = "; ".join(response.headers.get_all("Set-Cookie", []))
    (value,) = re.findall(rf"{name}=(\w+)", cookies)
    return str(value)


def webhook_body(number: int) -> bytes:
    key = {"remoteJid": "5511999990001@s.whatsapp.net", "fromMe": False, "id": f"C{number}"}
    data = {"key": key, "message": {"conversation": "hello"}, "messageType": "conversation"}
    data |= {"messageTimestamp": int(time.time())}
    return json.dumps({"event": "messages.upsert", "instance": "sales", "data": data}).encode()


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


def headlines(page: str) -> dict[str, str]:
    """Return the figure beside the title of each plot of a page."""
    return dict(re.findall(r'id="chart-([a-z-]+)".*?chart-headline">(.*?)</span>', page, re.DOTALL))


def shown_operations(page: str) -> dict[str, float]:
    """Return what the table of the cache page shows, without zeros, by the series of `/metrics`."""
    namespaces: dict[str, dict[str, dict[str, int]]] = {}
    for name, rows in re.findall(r"<bdi>(\w+)</bdi><br>(.*?)(?=<tr>\s*<th rowspan|</tbody>)", page, re.DOTALL):
        for tier, row in zip(("local", "shared"), rows.split("<tr>"), strict=True):
            cells = re.findall(r'<td class="number">([\d,]*)</td>', row)
            counts = zip(statistics.COLUMNS, cells, strict=True)
            tiers = namespaces.setdefault(name, {})
            tiers[tier] = {column: int(cell.replace(",", "")) for column, cell in counts if cell}
    return by_series({"namespaces": namespaces})


def expected_headlines(metrics: dict[str, float]) -> dict[str, str]:
    """Return what the home page must show beside its plots, except the lag."""

    def events(counter: str) -> str:
        return format_count(metrics.get(f'whatsai_webhook_events_total{{counter="{counter}"}}', 0))

    def reads(*operations: str) -> float:
        ends = tuple('tier="{}",operation="{}"}}'.format(*operation.split()) for operation in operations)
        return sum(value for series, value in metrics.items() if series.endswith(ends))

    hits, misses = reads("local hits", "shared hits", "shared negatives"), reads("shared misses", "shared bypasses")
    errors = sum(
        value for series, value in metrics.items() if series.endswith(',status="5xx"}') and "_count{" in series
    )
    return {
        "messages": f"{events('messages')} in total",
        "backlog": f"{format_count(metrics['whatsai_events_waiting'])} now",
        "failures": f"{events('failed')} failed, {events('refused')} refused, {format_count(errors)} errors",
        "hit-rate": format_share(hits / (hits + misses)),
        "saved": f"{format_count(hits)} in total",
    }


def test_all_figures_agree_after_a_load_on_recycled_processes(site: Site) -> None:
    posts = reads = RECYCLED * REQUESTS_OF_A_WORKER // 2
    for number in range(posts):
        assert site.ask(site.webhook, {}, webhook_body(number))[0] == 202
        assert site.ask("/api/v1/me/", site.headers)[0] == 200
    assert site.ask("/webhooks/evolution/sales?token=wrong", {}, webhook_body(posts))[0] == 401
    requests = 'whatsai_http_request_seconds_count{{route="{}",status="{}"}}'
    expected = {
        requests.format("webhook", "2xx"): posts,
        requests.format("me", "2xx"): reads,
        'whatsai_webhook_events_total{counter="received"}': posts,
        'whatsai_webhook_events_total{counter="refused"}': 1,
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
    check_the_pages(site, posts)


def check_the_pages(site: Site, posts: int) -> None:
    """Compare what a person reads in the admin with `/metrics`: before the events are applied, and after."""
    person = site.log_in()

    def agrees() -> bool:
        shown = headlines(site.page(HOME, person))
        shown.pop("lag")
        return shown == expected_headlines(site.metrics())

    wait_until(agrees)  # the pages' own reads of the cache are counted later, too
    assert headlines(site.page(HOME, person))["backlog"] == f"{format_count(posts)} now"
    site.manage("ingest", "--drain")
    wait_until(agrees)
    shown = headlines(site.page(HOME, person))
    assert (shown["messages"], shown["backlog"]) == (f"{format_count(posts)} in total", "0 now")
    assert shown["failures"] == "0 failed, 1 refused, 0 errors"
    wait_until(lambda: shown_operations(site.page(CACHE_PAGE, person)) == site.cache_operations())
    wait_until(lambda: headlines(site.page(CACHE_PAGE, person)).items() <= expected_headlines(site.metrics()).items())
