"""A process with many threads that read one list at the same moment, for `read/test_stampede.py`.

It reads lines from standard input. A line is a conversation's id and a time of the monotonic clock, which all processes
share. The process answers each line with JSON: the number of loads, the texts that were read, and whether all threads
read the same. If the time is missing, the process kills itself while it loads the list.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import django
from django.db import connection

from cachelayer import REDIS_OPTIONS

THREADS = 50


def main() -> None:
    """Answer lines until the end of the input."""
    from cachelayer import startup  # noqa: PLC0415 - needs the apps
    from tests.cachelayer.conftest import wait_until_in_use  # noqa: PLC0415 - as above

    wait_until_in_use(startup.start())
    with ThreadPoolExecutor(THREADS) as pool:
        print("ready", flush=True)  # noqa: T201 - the test waits for it
        for line in sys.stdin:
            pk, _, start_at = line.strip().partition(" ")
            if not start_at:
                read(int(pk), 0.0, kill_process)
            results = list(pool.map(lambda _: read(int(pk), float(start_at), count_load), range(THREADS)))  # noqa: B023 - used before the next line
            report = {"loads": sum(loads for loads, _ in results), "read": results[0][1]}
            report["agree"] = all(texts == report["read"] for _, texts in results)
            print(json.dumps(report), flush=True)  # noqa: T201 - as above


def read(pk: int, start_at: float, on_query: Callable[..., Any]) -> tuple[int, list[str]]:
    """Read a conversation's messages at a time; return the number of loads and the texts."""
    from conversations.models import Message  # noqa: PLC0415 - needs the apps

    counter.count = 0
    with connection.execute_wrapper(on_query):
        time.sleep(max(start_at - time.monotonic(), 0.0))
        texts = [row.text for row in Message.objects.for_conversation(pk).rows]
    connection.close()
    return counter.count, texts


counter = threading.local()


def count_load(execute: Callable[..., Any], *query: Any) -> Any:
    counter.count += 1
    return execute(*query)


def kill_process(*_query: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    # Two hundred threads on a busy machine answer late, which must not count as a server that hangs.
    REDIS_OPTIONS |= {"SOCKET_CONNECT_TIMEOUT": 1.0, "SOCKET_TIMEOUT": 1.0}
    django.setup()
    with suppress(KeyboardInterrupt):
        main()
