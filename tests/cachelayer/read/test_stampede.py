"""Many who miss the same entry at once: few load it, and nobody waits for one who does not come back."""

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
from tests.cachelayer.conftest import wait_until
from tests.conversations.rows import a_chat, a_message, an_instance
from tests.valkey import Valkey

READERS = 50
KEY = "conversations:digest:7"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cached")]


class Loader:
    """Counts how often it is asked; `first` says what the first one is answered."""

    def __init__(self, first: Callable[[], Any] = dict) -> None:
        self.loads = 0
        self._first = first
        self._lock = threading.Lock()

    def __call__(self) -> Any:
        with self._lock:
            self.loads += 1
            is_first = self.loads == 1
        return self._first() if is_first else {}


def at_once(load: Callable[[], Any], readers: int = READERS) -> list[Any]:
    """What readers get, or what they fail with, when all of them ask at the same moment."""
    barrier = threading.Barrier(readers)

    def read(_number: int) -> Any:
        barrier.wait()
        try:
            return cache.fetch(KEY, load)
        except ZeroDivisionError as error:
            return error

    with ThreadPoolExecutor(readers) as pool:
        return list(pool.map(read, range(readers)))


def lease_is_free(service: CacheRuntime) -> bool:
    _, is_free = service.store.claim_versions([], KEY, 1)
    return is_free


def test_fifty_threads_make_one_load() -> None:
    load = Loader()
    assert at_once(load) == [{}] * READERS
    assert load.loads == 1


def test_who_looked_just_before_the_fill_does_not_load_again(
    cached: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, lead = Loader(), cached.single_flight.acquire

    def late(name: str, since: float) -> bool:
        monkeypatch.setattr(cached.single_flight, "acquire", lead)
        cache.fetch(KEY, load)  # another thread, from its first look to its fill
        return lead(name, since)

    monkeypatch.setattr(cached.single_flight, "acquire", late)
    assert cache.fetch(KEY, load) == {}
    assert load.loads == 1


def test_when_a_load_fails_one_of_the_others_loads() -> None:
    load = Loader(lambda: 1 / 0)
    answers = at_once(load)
    assert sum(isinstance(answer, ZeroDivisionError) for answer in answers) == 1
    assert answers.count({}) == READERS - 1
    assert load.loads == 2


def test_when_every_load_fails_everybody_is_told() -> None:
    def load() -> None:
        raise ZeroDivisionError

    assert all(isinstance(answer, ZeroDivisionError) for answer in at_once(load, readers=10))


def test_a_load_that_takes_very_long_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_process_that_died_with_the_lease_is_waited_for_once(cached: CacheRuntime) -> None:
    cached.store.claim_versions([], KEY, 60_000)
    load = Loader()
    for _ in range(2):
        assert cache.fetch(KEY, load) == {}
    assert load.loads == 1
    assert lease_is_free(cached)


def test_a_load_that_fails_gives_the_lease_back(cached: CacheRuntime) -> None:
    with pytest.raises(ZeroDivisionError):
        cache.fetch(KEY, Loader(lambda: 1 / 0))
    assert lease_is_free(cached)


def test_what_cannot_be_stored_gives_the_lease_back(cached: CacheRuntime) -> None:
    cache.fetch(KEY, object)
    assert lease_is_free(cached)


def test_who_loads_while_a_write_is_in_flight_gives_the_lease_back(
    cached: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = cached.store.claim_versions

    def claim_late(*arguments: Any) -> Any:
        monkeypatch.setattr(cached.store, "claim_versions", claim)
        cached.store.begin(b"w" * 16, ["conversations"])  # after the look
        return claim(*arguments)

    monkeypatch.setattr(cached.store, "claim_versions", claim_late)
    cache.fetch(KEY, dict)
    assert lease_is_free(cached)
    cached.store.end(b"w" * 16, ["conversations"])
    load = Loader()
    cache.fetch(KEY, load)
    assert load.loads == 1, "it was kept though a write was in flight"


def test_a_hit_needs_no_database(cached: CacheRuntime) -> None:
    cache.fetch(KEY, dict)

    def connects() -> bool:
        cached.local.remove_matching(lambda *_: True)
        cache.fetch(KEY, object)
        return connection.connection is not None

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(connects).result() is False


# --- processes --------------------------------------------------------------------------------------------------------
PROCESSES = 4
ROUNDS = 10
AHEAD = 0.02  # seconds, for everybody to hear of the moment


@pytest.fixture
def processes(server: Valkey) -> Iterator[list["subprocess.Popen[str]"]]:
    """Processes of `readers.py`, with this test's database and server."""
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    environ = os.environ | {"DATABASE_URL": database, "REDIS_URL": server.url}
    command = [sys.executable, "-m", "tests.cachelayer.readers"]
    with ExitStack() as stack:
        started = []
        for _ in range(PROCESSES):
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            process = stack.enter_context(subprocess.Popen(command, env=environ, **pipes))  # noqa: S603 - our own words
            stack.callback(process.kill)
            started.append(process)
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield started


def ask(processes: list["subprocess.Popen[str]"], question: str) -> list[dict[str, Any]]:
    for process in processes:
        print(question, file=process.stdin, flush=True)
    return [json.loads(process.stdout.readline()) for process in processes if process.stdout]


def a_cold_list() -> tuple[Conversation, list[str]]:
    chat = a_chat(an_instance())
    messages = [a_message(chat) for _ in range(20)]
    return chat, [message.text for message in reversed(messages)]


@pytest.mark.postgresql
def test_two_hundred_readers_in_four_processes_load_a_cold_list_four_times_at_most(
    processes: list["subprocess.Popen[str]"],
) -> None:
    for _ in range(ROUNDS):
        chat, texts = a_cold_list()
        answers = ask(processes, f"{chat.pk} {time.monotonic() + AHEAD}")
        assert all(answer["agree"] and answer["read"] == texts for answer in answers)
        assert 1 <= sum(answer["loads"] for answer in answers) <= PROCESSES

    chat, texts = a_cold_list()
    victim = processes.pop()
    print(chat.pk, file=victim.stdin, flush=True)
    assert victim.wait() == -signal.SIGKILL
    answers = ask(processes, f"{chat.pk} {time.monotonic() + AHEAD}")
    assert all(answer["agree"] and answer["read"] == texts for answer in answers)
    assert 1 <= sum(answer["loads"] for answer in answers) <= len(processes)
