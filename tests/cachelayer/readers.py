"""A process with many threads, for `test_stampede.py`: at each line it is given they read one list at one moment.

A line is a conversation's id and a moment of the monotonic clock, which all processes share; or an id alone: then this
process is killed while it loads that conversation's list. What it answers is how many loads that took, and what was
read.
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
    """Read until there are no more lines."""
    from cachelayer import startup  # noqa: PLC0415 - there are apps from here on
    from tests.cachelayer.conftest import believe  # noqa: PLC0415 - as above

    believe(startup.start())
    with ThreadPoolExecutor(THREADS) as pool:
        print("ready", flush=True)  # noqa: T201 - an answer
        for line in sys.stdin:
            pk, _, moment = line.strip().partition(" ")
            if not moment:
                read(int(pk), 0.0, die)
            answers = list(pool.map(lambda _: read(int(pk), float(moment), count), range(THREADS)))  # noqa: B023 - in turn
            found = {"loads": sum(loads for loads, _ in answers), "read": answers[0][1]}
            found["agree"] = all(texts == found["read"] for _, texts in answers)
            print(json.dumps(found), flush=True)  # noqa: T201 - as above


def read(pk: int, moment: float, load: Callable[..., Any]) -> tuple[int, list[str]]:
    """Read a list; return how many loads that took and what was read."""
    from conversations.models import Message  # noqa: PLC0415 - there are apps from here on

    loaded.count = 0
    with connection.execute_wrapper(load):
        time.sleep(max(moment - time.monotonic(), 0.0))
        texts = [row.text for row in Message.objects.for_conversation(pk).rows]
    connection.close()
    return loaded.count, texts


loaded = threading.local()


def count(execute: Callable[..., Any], *query: Any) -> Any:
    loaded.count += 1
    return execute(*query)


def die(*_query: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    # Two hundred threads on a machine with other work are late: that is not to be taken for a server that hangs.
    REDIS_OPTIONS |= {"SOCKET_CONNECT_TIMEOUT": 1.0, "SOCKET_TIMEOUT": 1.0}
    django.setup()
    with suppress(KeyboardInterrupt):
        main()
