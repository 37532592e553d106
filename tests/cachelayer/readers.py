"""A program with many threads that read one cached list at the same moment, for `read/test_stampede.py`.

Each line on standard input holds the id of a conversation and a start time. The start time is a time of the monotonic
clock, which all processes share. At the start time, all threads read the chat messages of the conversation. The program
answers each line with JSON: the number of database queries, the texts of the chat messages, and whether all threads
have read the same texts. If a line has no start time, the program kills itself while it loads the list.
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

THREADS = 50


def main() -> None:
    """Read and answer lines until the end of standard input."""
    from cachelayer import startup  # noqa: PLC0415 - the import needs django.setup()
    from tests.cachelayer.conftest import wait_until_in_use  # noqa: PLC0415 - the import needs django.setup()

    wait_until_in_use(startup.start())
    with ThreadPoolExecutor(THREADS) as pool:
        print("ready", flush=True)  # noqa: T201 - the test waits for the printed line
        for line in sys.stdin:
            pk, _, start_at = line.strip().partition(" ")
            if not start_at:
                read(int(pk), 0.0, kill_process)
            results = list(pool.map(lambda _: read(int(pk), float(start_at), count_load), range(THREADS)))  # noqa: B023 - the lambda is called only in this iteration
            report = {"loads": sum(loads for loads, _ in results), "read": results[0][1]}
            report["agree"] = all(texts == report["read"] for _, texts in results)
            print(json.dumps(report), flush=True)  # noqa: T201 - the test reads the printed line


def read(pk: int, start_at: float, on_query: Callable[..., Any]) -> tuple[int, list[str]]:
    """Read a conversation's chat messages at a given time; return the number of database queries and the texts."""
    from conversations.models import Message  # noqa: PLC0415 - the import needs django.setup()

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
    django.setup()
    with suppress(KeyboardInterrupt):
        main()
