"""A process that serves, as far as its cache knows: for `test_statistics.py`.

Reads a value so often as is asked for, says so, and ends when it is let go.
"""

import sys
import time

import django

django.setup()

from cachelayer import cache, startup  # noqa: E402 - there are settings from here on
from cachelayer.runtime.runtime import CacheRuntime


def is_in_use(now: CacheRuntime) -> bool:
    cache.fetch("warm", dict)
    return now.local.valid_until > time.monotonic() and cache.get("warm") == {}


def main(key: str, times: int) -> None:
    now = startup.start()
    while not is_in_use(now):
        time.sleep(0.01)
    for _ in range(times):
        cache.fetch(f"conversations:{key}", dict)
    print("read", flush=True)  # noqa: T201 - an answer
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
