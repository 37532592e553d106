"""No body, and no eight bodies at once, make a process need more memory than six times the largest body.

Measured in processes of their own. A body with fewer bytes but many values needs up to a fixed amount of memory
instead. With EXPLORE=all, single bodies have 99 MB instead of 25 MB, and more kinds are posted at once.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

from tests.effort import EXPLORES_ALL, effort

pytestmark = pytest.mark.once

LARGEST = 99_000_000  # bytes
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
KINDS_AT_ONCE = ["objects", "long texts with an emoji in members"]
KINDS_AT_ONCE += ["messages with emojis", "texts that end with an emoji"] if EXPLORES_ALL else []


def probe(kinds: list[str], size: int, threads: int = 1, order: str = "at-once") -> list[Any]:
    """Measure bodies of each kind; return the lines that the program prints."""
    module = "tests.conversations.webhooks.memory_probe"
    command = [sys.executable, "-m", module, str(size), str(threads), order, *kinds]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}  # it needs a file
    done = subprocess.run(command, cwd=settings.BASE_DIR, env=environment, check=True, capture_output=True)  # noqa: S603 - the project's own program
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_one_large_body_needs_six_times_its_size_at_most() -> None:
    results = probe(KINDS, effort(25_000_000, LARGEST))
    assert [result["kind"] for result in results] == KINDS
    assert [result for result in results if result["grown"] > 6 * result["size"]] == []
    assert {status for result in results for status in result["answers"]} <= {"202", "400", "413"}


def test_eight_large_bodies_at_once_need_no_more_than_one() -> None:
    results = probe(KINDS_AT_ONCE, LARGEST, threads=8)
    assert [result["kind"] for result in results] == KINDS_AT_ONCE
    assert [result for result in results if result["grown"] > 6 * result["size"]] == []
    assert {status for result in results for status in result["answers"]} <= {"202", "413", "503"}


def test_threads_that_received_bodies_in_turn_keep_less_memory_than_one_body_needs() -> None:
    (result,) = probe(["long texts of emojis"], 10_000_000, 8, "in-turn")
    assert result["kept"] <= 6 * result["size"]
    assert result["answers"] == {"202": 8}
