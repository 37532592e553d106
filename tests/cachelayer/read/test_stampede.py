"""If many readers miss one entry simultaneously, only few load the value, and none waits for a dead process."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from cachelayer import cache
from cachelayer.runtime import single_flight
from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Conversation
from tests.conversations.rows import a_chat, a_message, an_instance
from tests.valkey import Valkey
from tests.waiting import wait_until

READERS = 50
KEY = "conversations:digest:7"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]


class Loader:
    """A load function that counts its calls; the first call returns the result of `first`, later calls return {}."""

    def __init__(self, first: Callable[[], Any] = dict) -> None:
        self.loads = 0
        self._first = first
        self._lock = threading.Lock()

    def __call__(self) -> Any:
        with self._lock:
            self.loads += 1
            is_first = self.loads == 1
        return self._first() if is_first else {}


def read_at_once(load: Callable[[], Any], readers: int = READERS) -> list[Any]:
    """Let many threads fetch one value simultaneously; return each thread's result, or the error that was raised."""
    barrier = threading.Barrier(readers)

    def read(_number: int) -> Any:
        barrier.wait()
        try:
            return cache.fetch(KEY, load)
        except ZeroDivisionError as error:
            return error

    with ThreadPoolExecutor(readers) as pool:
        return list(pool.map(read, range(readers)))


def is_lease_free(runtime: CacheRuntime) -> bool:
    _, is_free = runtime.store.claim_versions([], KEY, 1)
    return is_free


def test_fifty_threads_load_once() -> None:
    load = Loader()
    assert read_at_once(load) == [{}] * READERS
    assert load.loads == 1


def test_a_reader_whose_lookup_came_just_before_a_fill_does_not_load_again(
    cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, acquire = Loader(), cache_runtime.single_flight.acquire

    def acquire_late(name: str, looked_up_at: float) -> bool:
        monkeypatch.setattr(cache_runtime.single_flight, "acquire", acquire)
        cache.fetch(KEY, load)  # as if another thread looked up and loaded the value at this moment
        return acquire(name, looked_up_at)

    monkeypatch.setattr(cache_runtime.single_flight, "acquire", acquire_late)
    assert cache.fetch(KEY, load) == {}
    assert load.loads == 1


def test_after_a_failed_load_another_thread_loads() -> None:
    load = Loader(lambda: 1 / 0)
    answers = read_at_once(load)
    assert sum(isinstance(answer, ZeroDivisionError) for answer in answers) == 1
    assert answers.count({}) == READERS - 1
    assert load.loads == 2


def test_if_every_load_fails_every_reader_gets_the_error() -> None:
    def load() -> None:
        raise ZeroDivisionError

    assert all(isinstance(answer, ZeroDivisionError) for answer in read_at_once(load, readers=10))


def test_other_threads_do_not_wait_for_a_very_slow_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_flight, "MAX_WAIT", 0.01)
    may_end = threading.Event()
    load = Loader(may_end.wait)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(cache.fetch, KEY, load)
        wait_until(lambda: load.loads or slow.done())
        assert cache.fetch(KEY, load) == {}
        may_end.set()
        assert slow.result() is True


# --- the lease between processes --------------------------------------------------------------------------------------
def test_readers_wait_only_once_for_a_process_that_died_with_the_lease(cache_runtime: CacheRuntime) -> None:
    cache_runtime.store.claim_versions([], KEY, 60_000)
    load = Loader()
    for _ in range(2):
        assert cache.fetch(KEY, load) == {}
    assert load.loads == 1
    assert is_lease_free(cache_runtime)


def test_a_failed_load_releases_the_lease(cache_runtime: CacheRuntime) -> None:
    with pytest.raises(ZeroDivisionError):
        cache.fetch(KEY, Loader(lambda: 1 / 0))
    assert is_lease_free(cache_runtime)


def test_a_value_that_cannot_be_cached_releases_the_lease(cache_runtime: CacheRuntime) -> None:
    cache.fetch(KEY, object)
    assert is_lease_free(cache_runtime)


def test_a_load_during_a_write_releases_the_lease_and_stores_nothing(
    cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = cache_runtime.store.claim_versions

    def claim_late(*arguments: Any) -> Any:
        monkeypatch.setattr(cache_runtime.store, "claim_versions", claim)
        cache_runtime.store.begin(b"w" * 16, ["conversations"])  # the write begins after the reader's lookup
        return claim(*arguments)

    monkeypatch.setattr(cache_runtime.store, "claim_versions", claim_late)
    cache.fetch(KEY, dict)
    assert is_lease_free(cache_runtime)
    cache_runtime.store.end(b"w" * 16, ["conversations"])
    load = Loader()
    cache.fetch(KEY, load)
    assert load.loads == 1, "it was stored although a write was in flight"


def test_a_hit_needs_no_database(cache_runtime: CacheRuntime) -> None:
    cache.fetch(KEY, dict)

    def does_connect() -> bool:
        cache_runtime.local.remove_matching(lambda *_: True)
        cache.fetch(KEY, object)
        return connection.connection is not None

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(does_connect).result() is False


# --- processes --------------------------------------------------------------------------------------------------------
PROCESSES = 4
ROUNDS = 10
START_DELAY = 0.02  # seconds between sending the start time to all processes and the start


@pytest.fixture
def processes(valkey_server: Valkey) -> Iterator[list["subprocess.Popen[str]"]]:
    """Processes that run `readers.py` with the database and the Valkey server of the test."""
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    environ = os.environ | {"DATABASE_URL": database, "REDIS_URL": valkey_server.url}
    command = [sys.executable, "-m", "tests.cachelayer.readers"]
    with ExitStack() as stack:
        started = []
        for _ in range(PROCESSES):
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            process = stack.enter_context(subprocess.Popen(command, env=environ, **pipes))  # noqa: S603 - the command is a constant list
            stack.callback(process.kill)
            started.append(process)
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield started


def send_to_all(processes: list["subprocess.Popen[str]"], line: str) -> list[dict[str, Any]]:
    for process in processes:
        print(line, file=process.stdin, flush=True)
    return [json.loads(process.stdout.readline()) for process in processes if process.stdout]


def make_cold_list() -> tuple[Conversation, list[str]]:
    chat = a_chat(an_instance())
    messages = [a_message(chat) for _ in range(20)]
    return chat, [message.text for message in reversed(messages)]


@pytest.mark.postgresql
def test_two_hundred_readers_in_four_processes_load_a_list_at_most_four_times(
    processes: list["subprocess.Popen[str]"],
) -> None:
    for _ in range(ROUNDS):
        chat, texts = make_cold_list()
        answers = send_to_all(processes, f"{chat.pk} {time.monotonic() + START_DELAY}")
        assert all(answer["agree"] and answer["read"] == texts for answer in answers)
        assert 1 <= sum(answer["loads"] for answer in answers) <= PROCESSES

    chat, texts = make_cold_list()
    victim = processes.pop()
    print(chat.pk, file=victim.stdin, flush=True)
    assert victim.wait() == -signal.SIGKILL
    answers = send_to_all(processes, f"{chat.pk} {time.monotonic() + START_DELAY}")
    assert all(answer["agree"] and answer["read"] == texts for answer in answers)
    assert 1 <= sum(answer["loads"] for answer in answers) <= len(processes)
