"""Measures how long the pages of the admin take with a large database: `python -m tests.benchmarks.admin`.

The benchmark starts PostgreSQL and Valkey, fills the tables (`admin_rows`), and requests every page (`admin_pages`) as
an administrator, as staff who may read all numbers, and as staff who may read 3 of them. Before a cold request, the
caches are cleared; a warm request repeats the one before. The requests go through Django's handler in this process.
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.production import production_servers
from tests.benchmarks.report import markdown
from tests.benchmarks.scale import NOT_MET, SETTINGS

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
CONVERSATIONS = 1_000_000
REQUESTS = 30  # of each page, cold and warm
MAX_SECONDS = 0.2  # required p95
HEADS = ("page", "seen by", "queries", "cold", "", "processor", "SQL", "warm", "")


class Request(NamedTuple):
    """What one request took: seconds on the clock, of this process' processor, and of SQL; and its queries."""

    seconds: float
    processor: float
    sql: float
    queries: int


class Statements:
    """Counts the SQL statements of a request, and their seconds."""

    def __init__(self) -> None:
        self.seconds, self.count = 0.0, 0

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        """Execute one statement."""
        start = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            self.seconds += time.perf_counter() - start
            self.count += 1


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark, print its report, and write the report to `docs/`."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.admin", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of each page (default %(default)s)")
    parser.add_argument("--only", default="", help="measure only the pages with this text in their name")
    parser.add_argument("--folder", type=Path, help="keep the filled database in this folder for the next run")
    parser.add_argument(
        "--conversations",
        type=int,
        default=CONVERSATIONS,
        help="number of conversations; only the default (%(default)s) writes to docs/",
    )
    options = parser.parse_args(arguments)
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    with production_servers(SETTINGS, options.folder):
        from tests.benchmarks import admin_rows  # noqa: PLC0415 - the import needs configured Django settings

        admin_rows.fill_once(options.conversations)
        gc.freeze()  # the web server calls gc.freeze() after its startup too
        text = report(options.conversations, options.requests, list(_measure_all(options.requests, options.only)))
    print(text)
    if options.conversations == CONVERSATIONS and not options.only:
        (DOCS / "benchmarks-admin.md").write_text(text, encoding="utf-8")


def _measure_all(requests: int, only: str) -> Iterator[tuple[str, ...]]:
    """Request each page as each visitor who may see it; yield the rows of the report."""
    from tests.benchmarks import admin_pages  # noqa: PLC0415 - the import needs configured Django settings

    for visitor in admin_pages.visitors():
        drawn = admin_pages.Drawn(visitor)
        for page in admin_pages.all_pages():
            if only not in page.name or visitor.client.get(drawn.url(page)).status_code != HTTPStatus.OK:
                continue
            cold, warm = _times(visitor.client, [drawn.url(page) for _ in range(requests)])
            row = (page.name, visitor.name, *_figures(cold, warm))
            print(*row, sep=" | ", flush=True)
            yield row


def _times(client: Any, urls: Sequence[str]) -> tuple[list[Request], list[Request]]:
    """Return what the cold and the warm requests took."""
    from cachelayer import cache  # noqa: PLC0415 - the import needs configured Django settings

    cold, warm = [], []
    for url in urls:
        cache.clear_all()
        cold.append(_measure(client, url))
        warm.append(_measure(client, url))
    return cold, warm


def _measure(client: Any, url: str) -> Request:
    from django.db import connection  # noqa: PLC0415 - the import needs configured Django settings

    statements = Statements()
    with connection.execute_wrapper(statements):
        start, processor = time.perf_counter(), time.thread_time()
        response = client.get(url)
        seconds, processor = time.perf_counter() - start, time.thread_time() - processor
    if response.status_code != HTTPStatus.OK:
        raise RuntimeError(f"{response.status_code}: {url}")
    return Request(seconds, processor, statements.seconds, statements.count)


def _figures(cold: Sequence[Request], warm: Sequence[Request]) -> Iterator[str]:
    yield str(max(request.queries for request in cold))
    for requests in (cold, warm):
        seconds = [request.seconds for request in requests]
        yield f"{statistics.median(seconds) * 1e3:.0f} ms"
        p95 = _p95(seconds)
        yield f"{p95 * 1e3:.0f} ms" + ("" if p95 <= MAX_SECONDS else f", **{NOT_MET}**")
        if requests is cold:
            yield f"{_p95([request.processor for request in cold]) * 1e3:.0f} ms"
            yield f"{_p95([request.sql for request in cold]) * 1e3:.0f} ms"


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def report(conversations: int, requests: int, rows: Sequence[Sequence[str]]) -> str:
    """Return the report as Markdown."""
    from tests.benchmarks import admin_rows, machine  # noqa: PLC0415 - the import needs configured Django settings

    missed = sum(any(NOT_MET in cell for cell in row) for row in rows)
    verdict = f"{len(rows) - missed} of {len(rows)} rows take at most {MAX_SECONDS * 1e3:.0f} ms (95th percentile)"
    return f"""# The admin with a large database

`make bench-admin` writes this page. PostgreSQL contains {conversations:,} conversations of {admin_rows.INSTANCES}
numbers with {conversations * admin_rows.MESSAGES_PER_CONVERSATION:,} messages, {admin_rows.EVENTS:,} webhook events and
{admin_rows.READINGS:,} records of reading. {machine.describe()}

Each page is requested {requests} times for different rows, cold and warm; the columns are the median and the 95th
percentile. Before a cold request, all caches were cleared; a warm request repeats the one before. “queries” is the
greatest number of a cold request; “processor” and “SQL” are the 95th percentiles of its time on the processor, without
PostgreSQL, and of the time that it waited for PostgreSQL. The requests go through Django's handler in one process,
without web server and network. PostgreSQL, Valkey and the process share the cores of one machine.

{verdict}; the others say **{NOT_MET}**.

{markdown(HEADS, rows)}
"""


if __name__ == "__main__":
    main(sys.argv[1:])
