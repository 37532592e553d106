"""What one webhook and one page of the API cost in this process, beside the least that the database asks for.

`python -m tests.benchmarks.ingest`. The figures are medians of several rounds; in each round everything is measured
once, in turn, so that a slow moment of the machine falls on all alike.
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

from django.contrib.auth.models import User  # noqa: E402 - there are settings from here on
from django.db import connection  # noqa: E402
from django.test.utils import setup_databases, setup_test_environment, teardown_databases  # noqa: E402
from knox.models import get_token_model  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402

from conversations.models import Instance  # noqa: E402
from tests.conversations.ingest.receive import receive  # noqa: E402

SAMPLE = Path(__file__).resolve().parent.parent / "payloads" / "samples" / "messages.upsert.json"
CHATS = 50
START = 1_765_458_000  # seconds; each message is one later than the one before

PAGE = 50
FLOORS = {"webhook": "floor: INSERT of the body", "page": f"floor: SELECT of {PAGE} rows"}

Body = dict[str, Any]
Seconds = dict[str, list[float]]


def main(arguments: list[str]) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ingest", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="webhooks, or pages, a round (default 200)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, of which the median counts (default 7)")
    options = parser.parse_args(arguments)
    setup_test_environment(debug=False)
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        print(table(measure(options.count, options.rounds)))
    finally:
        teardown_databases(databases, verbosity=0)


def bodies() -> Iterator[Body]:
    """Text messages of many chats in turn, as Evolution sends them, without end."""
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
    """Return the seconds that one piece of work took in each round, by what it was."""
    instance = Instance.objects.create(name="vendas-sp-01")
    stream = bodies()
    for body in islice(stream, 2 * CHATS):  # every chat is known, and a page full, before anything is measured
        receive(instance, body)
    read_page = page_reader()
    create_floor()
    taken: Seconds = {}
    for _ in range(rounds):
        batch = list(islice(stream, count))
        work: tuple[tuple[str, Callable[[Body], object]], ...] = (
            (FLOORS["webhook"], insert_floor),
            ("webhook, new", partial(receive, instance)),
            ("webhook, repeated", partial(receive, instance)),
            (FLOORS["page"], lambda _body: select_floor()),
            ("page of conversations", lambda _body: read_page()),
        )
        for name, run in work:
            began = time.perf_counter()
            for body in batch:
                run(body)
            taken.setdefault(name, []).append((time.perf_counter() - began) / count)
    return taken


# --- the work ---------------------------------------------------------------------------------------------------------
def page_reader() -> Callable[[], None]:
    """Return what reads a page of conversations as a consumer does: URL, token, JSON."""
    user = User.objects.create_user("bench")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {get_token_model().objects.create(user, expiry=None)[1]}")

    def read_page() -> None:
        answer = client.get("/api/v1/conversations/", {"limit": PAGE})
        if answer.status_code != 200 or len(answer.json()["results"]) != PAGE:
            raise SystemExit(f"the API did not answer with a page: {answer.status_code}")

    return read_page


def create_floor() -> None:
    """Make a table that has a body and nothing else: no key, no index, no constraint."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_floor (body text)")


def insert_floor(body: Body) -> None:
    """Store the body in a transaction of its own: what durability alone costs."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_floor (body) VALUES (%s)", [json.dumps(body)])


def select_floor() -> None:
    """Read a page of rows and write it as JSON, without models or serializers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM conversations_conversation ORDER BY id DESC LIMIT %s", [PAGE])
        json.dumps(cursor.fetchall(), default=str)


# --- the table --------------------------------------------------------------------------------------------------------
def table(taken: Seconds) -> str:
    """Lay the medians out: microseconds, how many a second, and how many times the floor above."""
    lines = [f"{connection.vendor}, medians of {len(next(iter(taken.values())))} rounds, in process"]
    lines.append(f"{'':28}{'us':>9}{'per s':>9}{'x floor':>9}{'spread':>9}")
    floor = 0.0
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        floor = median if name in FLOORS.values() else floor
        spread = (max(seconds) - min(seconds)) / median
        lines.append(f"{name:28}{median * 1e6:9.0f}{1 / median:9.0f}{median / floor:9.1f}{spread:9.0%}")
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
