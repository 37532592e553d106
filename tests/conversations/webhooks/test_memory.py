"""No body, and no eight bodies at once, make a process need more memory than six times the largest body.

Measured with bodies of 99 MB in processes of their own. A body with fewer bytes but many values needs up to a fixed
amount of memory instead, which the last test states.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

pytestmark = pytest.mark.once

SIZE = 99_000_000


def probe(kind: str, size: int, threads: int = 1) -> Any:
    command = [sys.executable, "-m", "tests.conversations.webhooks.memory_probe", kind, str(size), str(threads)]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}  # it needs a file
    done = subprocess.run(command, cwd=settings.BASE_DIR, env=environment, check=True, capture_output=True)  # noqa: S603 - the project's own program
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "kind",
    [
        "objects",
        "numbers",
        "some texts",
        "one text that ends with an emoji",
        "long texts of emojis",
        "messages with emojis",
        "names with an emoji",
        "deep lists",
    ],
)
def test_one_large_body_needs_six_times_its_size_at_most(kind: str) -> None:
    result = probe(kind, SIZE)
    assert result["grown"] <= 6 * result["size"]
    assert set(result["answers"]) <= {"202", "400", "413"}


@pytest.mark.parametrize("kind", ["objects", "messages with emojis", "texts that end with an emoji"])
def test_eight_large_bodies_at_once_need_no_more_than_one(kind: str) -> None:
    result = probe(kind, SIZE, threads=8)
    assert result["grown"] <= 6 * result["size"]
    assert set(result["answers"]) <= {"202", "413", "503"}
