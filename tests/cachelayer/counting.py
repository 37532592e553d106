"""A program that fetches one cached value several times and counts its reads, for `ops/test_statistics.py`.

The command line gives the cache key and the number of fetches. The program prints "read" after the last fetch, and
ends when its standard input is closed.
"""

import sys
import time

import django

django.setup()

from cachelayer import cache, startup  # noqa: E402 - the import needs django.setup()
from cachelayer.runtime.runtime import CacheRuntime  # noqa: E402 - the import needs django.setup()


def is_in_use(runtime: CacheRuntime) -> bool:
    cache.fetch("warm", dict)
    return runtime.local.valid_until > time.monotonic() and cache.get("warm") == {}


def main(key: str, times: int) -> None:
    runtime = startup.start()
    while not is_in_use(runtime):
        time.sleep(0.01)
    for _ in range(times):
        cache.fetch(f"conversations:{key}", dict)
    print("read", flush=True)  # noqa: T201 - the test waits for the printed line
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
