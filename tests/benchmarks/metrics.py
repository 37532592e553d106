"""Measures how long a scrape of `/metrics` takes: `python -m tests.benchmarks.metrics`.

The benchmark starts PostgreSQL, Valkey and gunicorn with two processes. It scrapes with few numbers, with many, and
after ten times the load. A scrape must not become slower or longer with use, only with the number of numbers.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import psutil

from tests.benchmarks.production import production_servers
from tests.benchmarks.report import markdown
from tests.devstack import servers as stores

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "benchmarks-metrics.md"
FEW, MANY = 10, 500  # numbers
SCRAPES = 50  # of each measure
LOAD = 50  # reads over the API and webhooks before the first measure; ten times as many before the last one
MAX_SECONDS = 0.05  # required p95
KEY = "k" * 20
HEADS = ("scraped", "lines", "queries", "median", "p95", "processor", "")


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark, print its report, and write the report to `docs/`."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.metrics", description=__doc__)
    parser.add_argument("--scrapes", type=int, default=SCRAPES, help="of each measure (default %(default)s)")
    options = parser.parse_args(arguments)
    with production_servers(stores.DURABLE), tempfile.TemporaryDirectory() as folder:
        text = report(list(_measure_all(Path(folder), options.scrapes)))
    print(text)
    if options.scrapes == SCRAPES:
        PAGE.write_text(text, encoding="utf-8")


def _measure_all(folder: Path, scrapes: int) -> Iterator[tuple[str, ...]]:
    from tests.cachelayer.gunicorn import serving  # noqa: PLC0415 - the import needs configured Django settings

    api, webhook = _set_up()
    options = {"METRICS_KEY": KEY, "HTTPS": "false", "API_RATE_LIMIT": "0", "INGEST_IN_WEB_PROCESS": "true"}
    with (
        serving(folder, "--workers=2", LOG_CONSOLE="false", **options) as server,
        closing(server.connection()) as client,
    ):
        _add_numbers(FEW)
        _use(client, api, webhook, range(LOAD))
        yield _measure(f"{FEW} numbers", client, server.process.pid, scrapes)
        _add_numbers(MANY)
        yield _measure(f"{MANY} numbers", client, server.process.pid, scrapes)
        _use(client, api, webhook, range(LOAD, 11 * LOAD))
        yield _measure(f"{MANY} numbers, after ten times the load", client, server.process.pid, scrapes)


def _set_up() -> tuple[str, str]:
    """Create a user and a number; return the API token and the webhook token."""
    from django.contrib.auth.models import User  # noqa: PLC0415 - the import needs configured Django settings

    from conversations.models import ApiToken, Instance  # noqa: PLC0415 - as above

    _add_numbers(1)
    api = ApiToken.objects.issue(User.objects.create_superuser("root"))[1]
    return api, Instance.objects.issue_token(Instance.objects.get(name="number0").pk)


def _add_numbers(count: int) -> None:
    """Create numbers until there are so many, and let the server's caches and counters settle."""
    from conversations.models import Instance  # noqa: PLC0415 - the import needs configured Django settings

    for number in range(Instance.objects.count(), count):
        owner = f"55{number:010d}@s.whatsapp.net"
        Instance.objects.create(name=f"number{number}", state=Instance.State.OPEN, owner_jid=owner)


def _use(client: HTTPConnection, api: str, webhook: str, numbers: Sequence[int]) -> None:
    for number in numbers:
        key = {"remoteJid": f"55119{number % 200:08d}@s.whatsapp.net", "fromMe": False, "id": f"C{number}"}
        data = {"key": key, "message": {"conversation": "hello"}, "messageType": "conversation"}
        body = {
            "event": "messages.upsert",
            "instance": "number0",
            "data": {**data, "messageTimestamp": int(time.time())},
        }
        _ask(client, "/webhooks/evolution/number0", {"X-Webhook-Token": webhook}, json.dumps(body).encode())
        _ask(client, "/api/v1/conversations/?limit=5", {"Authorization": f"Token {api}"})


def _ask(client: HTTPConnection, path: str, headers: dict[str, str], body: bytes | None = None) -> bytes:
    client.request("GET" if body is None else "POST", path, body, headers)
    response = client.getresponse()
    content = response.read()
    if response.status not in (200, 202):
        raise RuntimeError(f"{path} was answered with {response.status}")
    return content


def _measure(name: str, client: HTTPConnection, master: int, scrapes: int) -> tuple[str, ...]:
    headers, seconds, page = {"Authorization": f"Bearer {KEY}"}, [], b""
    _ask(client, "/metrics", headers)
    before = _processor_seconds(master)
    for _ in range(scrapes):
        start = time.perf_counter()
        page = _ask(client, "/metrics", headers)
        seconds.append(time.perf_counter() - start)
    processor = (_processor_seconds(master) - before) / scrapes
    p95 = statistics.quantiles(seconds, n=20)[-1]
    times = (f"{1000 * value:.1f} ms" for value in (statistics.median(seconds), p95, processor))
    return name, str(page.count(b"\n")), str(_queries()), *times, "" if p95 <= MAX_SECONDS else "not met"


def _queries() -> int:
    """Return the number of SQL statements of one reading of the metrics."""
    from django.db import connection  # noqa: PLC0415 - the import needs configured Django settings
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415 - as above

    from conversations.monitoring import reading  # noqa: PLC0415 - as above

    with CaptureQueriesContext(connection) as statements:
        reading.read()
    return len(statements)


def _processor_seconds(master: int) -> float:
    return sum(sum(child.cpu_times()[:2]) for child in psutil.Process(master).children())


def report(rows: Sequence[Sequence[str]]) -> str:
    """Return the report as Markdown."""
    return f"""# A scrape of `/metrics`

`make bench-metrics` writes this page: {SCRAPES} scrapes each, of gunicorn with two processes, over one connection. The
95th percentile must be at most {1000 * MAX_SECONDS:.0f} ms. The processor's time is that of both server processes, with
all that they do meanwhile. A number adds a line; use adds none, but the first use of a route or of a kind of event.

{markdown(HEADS, rows)}
"""


if __name__ == "__main__":
    main(sys.argv[1:])
