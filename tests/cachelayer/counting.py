"""A server process of the cache, for `ops/test_statistics.py`: fetches a value a number of times.

Arguments: the key and the number. It prints "read" when it is done, and ends when its standard input is closed.
"""

import sys
import time

import django

django.setup()

from cachelayer import cache, startup  # noqa: E402 - needs the apps; likewise below
from cachelayer.runtime.runtime import CacheRuntime  # noqa: E402


def is_in_use(runtime: CacheRuntime) -> bool:
    cache.fetch("warm", dict)
    return runtime.local.valid_until > time.monotonic() and cache.get("warm") == {}


def main(key: str, times: int) -> None:
    runtime = startup.start()
    while not is_in_use(runtime):
        time.sleep(0.01)
    for _ in range(times):
        cache.fetch(f"conversations:{key}", dict)
    print("read", flush=True)  # noqa: T201 - the test waits for it
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
