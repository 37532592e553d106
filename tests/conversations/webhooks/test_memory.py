"""No body, and no eight bodies at once, make a process need more memory than six times the largest body.

Measured in processes of their own. A body of a few MB with many short values may need `SMALL` bytes instead. With
EXPLORE=all, single bodies have 99 MB instead of 25 MB, and more kinds are posted at once.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

from tests.conversations.ingest.processes import database_url
from tests.effort import EXPLORES_ALL, effort

LARGEST = 99_000_000  # bytes
SMALL = 40_000_000  # bytes of memory that a body may need even if that is more than six times its size
KINDS = [
    "objects",
    "numbers",
    "some texts",
    "one text that ends with an emoji",
    "long texts of emojis",
    "messages with emojis",
    "names with an emoji",
    "long texts with an emoji in a message",
    "long texts with an emoji in members",
    "white space",
    "deep lists",
]
# Kinds that need most memory while they are inserted: many parts, and texts that take more memory than bytes.
INSERTED = ["short records", "messages of letters and emojis", "emojis"]
INSERTED += KINDS if EXPLORES_ALL else []
# Short values where they need most memory, or least: see `memory_probe.PLACES`.
SHORT = ["1.5 in a member", "1000 in a member", "1000 as members", "0.12345678 in a member", "255 in a member"]
SHORT += ["1000 in large lists", '{"a":1000} in long lists', '{"a":1.5} in records', "1e3 in large records"]
MORE_SHORT = ["-7 in a member", "123456789 in lists", "1000,1.5,-7,1e3 in long lists", '"a" in long records']
MORE_SHORT += ["null in long lists", "true in large records", "[] in long records", "{} in long lists"]
SHORT += MORE_SHORT if EXPLORES_ALL else []
SHORT_SIZES = [3_000_000, 10_000_000, 30_000_000, LARGEST] if EXPLORES_ALL else [10_000_000]
KINDS_AT_ONCE = ["objects", "long texts with an emoji in members"]
KINDS_AT_ONCE += ["messages with emojis", "texts that end with an emoji"] if EXPLORES_ALL else []


def probe(kinds: list[str], size: int, threads: int = 1, order: str = "at-once", **variables: str) -> list[Any]:
    """Measure bodies of each kind with a database in a file, or with that of `variables`; return the printed lines."""
    module = "tests.conversations.webhooks.memory_probe"
    command = [sys.executable, "-m", module, str(size), str(threads), order, *kinds]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | variables
    done = subprocess.run(command, cwd=settings.BASE_DIR, env=environment, check=True, capture_output=True)  # noqa: S603 - the project's own program
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_inserted(results: list[Any]) -> None:
    assert [result["kind"] for result in results] == INSERTED
    assert [result for result in results if result["grown"] > 6 * result["size"]] == []
    assert {status for result in results for status in result["answers"]} <= {"202", "400", "413"}


@pytest.mark.once
def test_inserting_needs_six_times_the_size_at_most() -> None:
    check_inserted(probe(INSERTED, 11_000_000))


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_inserting_into_postgresql_needs_six_times_the_size_at_most() -> None:
    check_inserted(probe(INSERTED, 11_000_000, DATABASE_URL=database_url()))


@pytest.mark.once
def test_one_large_body_needs_six_times_its_size_at_most() -> None:
    results = probe(KINDS, effort(25_000_000, LARGEST))
    assert [result["kind"] for result in results] == KINDS
    assert [result for result in results if result["grown"] > 6 * result["size"]] == []
    assert {status for result in results for status in result["answers"]} <= {"202", "400", "413"}


@pytest.mark.once
def test_one_body_of_short_values_needs_six_times_its_size_at_most() -> None:
    for size in SHORT_SIZES:
        results = probe(SHORT, size)
        assert [result["kind"] for result in results] == SHORT
        assert [result for result in results if result["grown"] > max(6 * result["size"], SMALL)] == []
        assert {status for result in results for status in result["answers"]} <= {"202", "413"}


@pytest.mark.once
def test_eight_large_bodies_at_once_need_no_more_than_one() -> None:
    results = probe(KINDS_AT_ONCE, LARGEST, threads=8)
    assert [result["kind"] for result in results] == KINDS_AT_ONCE
    assert [result for result in results if result["grown"] > 6 * result["size"]] == []
    assert {status for result in results for status in result["answers"]} <= {"202", "413", "503"}


@pytest.mark.once
def test_threads_that_received_bodies_in_turn_keep_less_memory_than_one_body_needs() -> None:
    (result,) = probe(["long texts of emojis"], 10_000_000, 8, "in-turn")
    assert result["kept"] <= 6 * result["size"]
    assert result["answers"] == {"202": 8}
