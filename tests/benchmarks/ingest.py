"""Measures one webhook and one API page, each next to a baseline: the bare INSERT or SELECT.

`python -m tests.benchmarks.ingest` prints medians of several rounds. Each round runs all measures in turn, so that a
slow moment of the machine affects all measures.
"""

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tests import isolation

isolation.set_up(database="sqlite:///{scratch}/db.sqlite3")

from django.contrib.auth.models import User  # noqa: E402 - the import needs configured Django settings
from django.db import connection  # noqa: E402
from django.test.utils import setup_databases, setup_test_environment, teardown_databases  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402

from conversations.models import ApiToken, Instance  # noqa: E402
from tests.conversations.ingest.receive import receive  # noqa: E402

SAMPLE = Path(__file__).resolve().parent.parent / "payloads" / "samples" / "messages.upsert.json"
CHATS = 50
START = 1_765_458_000  # timestamp of the first message in seconds; each further message adds one second

PAGE = 50
BASELINES = {"webhook": "baseline: INSERT of the body", "page": f"baseline: SELECT of {PAGE} rows"}

Body = dict[str, Any]
Seconds = dict[str, list[float]]


def main(arguments: list[str]) -> None:
    """Run the benchmark in a test database, and print a table of the results."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ingest", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="webhooks and pages per round (default 200)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds; the table shows medians (default 7)")
    options = parser.parse_args(arguments)
    setup_test_environment(debug=False)
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        print(table(measure(options.count, options.rounds)))
    finally:
        teardown_databases(databases, verbosity=0)


def bodies() -> Iterator[Body]:
    """Yield webhook bodies without end, as Evolution sends them: text messages of many chats in turn."""
    sample = json.loads(SAMPLE.read_text(encoding="utf-8"))
    number = 0
    while True:
        body = copy.deepcopy(sample)
        chat = 5521900000000 + number % CHATS
        key = {"id": f"3EB0{number:028X}", "remoteJid": f"{chat}@s.whatsapp.net", "remoteJidAlt": f"{chat}7@lid"}
        body["data"]["key"] |= key
        body["data"]["messageTimestamp"] = START + number
        yield body
        number += 1


def measure(count: int, rounds: int) -> Seconds:
    """Run the benchmark; return for each measure's name the seconds per call of each round."""
    instance = Instance.objects.create(name="vendas-sp-01")
    stream = bodies()
    for body in islice(stream, 2 * CHATS):  # creates all chats, so that the API returns a full page
        receive(instance, body)
    read_page = page_reader()
    create_baseline_table()
    durations: Seconds = {}
    for _ in range(rounds):
        batch = list(islice(stream, count))
        calls: tuple[tuple[str, Callable[[Body], object]], ...] = (
            (BASELINES["webhook"], insert_baseline),
            ("webhook, new", partial(receive, instance)),
            ("webhook, repeated", partial(receive, instance)),
            (BASELINES["page"], lambda _body: select_baseline()),
            ("page of conversations", lambda _body: read_page()),
        )
        for name, call in calls:
            start = time.perf_counter()
            for body in batch:
                call(body)
            durations.setdefault(name, []).append((time.perf_counter() - start) / count)
    return durations


# --- the measured calls -----------------------------------------------------------------------------------------------
def page_reader() -> Callable[[], None]:
    """Return a function that reads a page of conversations through the API, with a token, and decodes the JSON."""
    user = User.objects.create_user("bench", is_superuser=True)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {ApiToken.objects.issue(user)[1]}")

    def read_page() -> None:
        response = client.get("/api/v1/conversations/", {"limit": PAGE})
        if response.status_code != 200 or len(response.json()["results"]) != PAGE:
            raise SystemExit(f"the API did not return a full page: {response.status_code}")

    return read_page


def create_baseline_table() -> None:
    """Create a table whose only column is a webhook body, without key, index or constraint."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_baseline (body text)")


def insert_baseline(body: Body) -> None:
    """Insert a webhook body in its own transaction, which measures only the cost of a durable commit."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_baseline (body) VALUES (%s)", [json.dumps(body)])


def select_baseline() -> None:
    """Read a page of rows and encode the rows as JSON, without models or serializers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM conversations_conversation ORDER BY id DESC LIMIT %s", [PAGE])
        json.dumps(cursor.fetchall(), default=str)


# --- the table --------------------------------------------------------------------------------------------------------
def table(durations: Seconds) -> str:
    """Return a table of the medians: microseconds, calls per second, and the ratio to the preceding baseline."""
    lines = [f"{connection.vendor}, medians of {len(next(iter(durations.values())))} rounds, in process"]
    lines.append(f"{'':32}{'us':>9}{'per s':>9}{'ratio':>9}{'spread':>9}")
    baseline = 0.0
    for name, seconds in durations.items():
        median = statistics.median(seconds)
        baseline = median if name in BASELINES.values() else baseline
        spread = (max(seconds) - min(seconds)) / median
        lines.append(f"{name:32}{median * 1e6:9.0f}{1 / median:9.0f}{median / baseline:9.1f}{spread:9.0%}")
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
