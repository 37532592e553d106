import threading

import pytest

from cachelayer.runtime.in_flight import InFlightWrites
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.write.intents import WriteIntent

pytestmark = pytest.mark.usefixtures("unblocked_db")


def record_nothing(_tags: object) -> None:
    """Do nothing, instead of recording tags in the outbox."""


def test_writes_can_be_iterated_while_other_threads_add_and_discard(cache_runtime: CacheRuntime) -> None:
    in_flight, stopped = InFlightWrites(), threading.Event()

    def add_and_discard() -> None:
        while not stopped.is_set():
            intent = WriteIntent(cache_runtime, record_nothing, record_nothing)
            in_flight.add(intent)
            in_flight.discard(intent)

    threads = [threading.Thread(target=add_and_discard) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20_000):
        list(in_flight)
    stopped.set()
    for thread in threads:
        thread.join()
    assert not in_flight
