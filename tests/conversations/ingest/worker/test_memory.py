"""A worker needs no more memory for applying events than six times the largest event, also for several in turn.

Measured in processes of their own.
"""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

pytestmark = pytest.mark.once

SIZE = 6_000_000  # bytes of a body
COUNT = 2  # bodies of each kind
KINDS = ["texts that end with an emoji", "long texts with an emoji in members"]


def test_applying_large_events_needs_six_times_their_size_at_most() -> None:
    command = [sys.executable, "-m", "tests.conversations.ingest.worker.memory_probe", str(SIZE), str(COUNT), *KINDS]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}  # it needs a file
    done = subprocess.run(command, cwd=settings.BASE_DIR, env=environment, check=True, capture_output=True)  # noqa: S603 - the project's own program
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["kind"] for result in results] == KINDS
    assert [result for result in results if result["grown"] > 6 * SIZE] == []
