"""While the server answers reads and accepts no writes, no process reads what was there before a committed write.

Another process (`watcher.py`) reads all the time. Both processes have the intervals of production.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.conf import settings as project

from cachelayer.runtime.circuit_breaker import TRUST_S
from cachelayer.runtime.runtime import get_runtime
from cachelayer.write import intents
from conversations.models import Instance
from tests.cachelayer.conftest import wait_until_in_use
from tests.cachelayer.gunicorn import environment
from tests.cachelayer.test_faults import a_replica, unable_to_save
from tests.conversations.rows import an_instance
from tests.valkey import Valkey
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql, pytest.mark.short_timeouts]

READS = 500  # reads to check after the write
WRITES_PAUSE_MS = 1500


class Watcher:
    """The process that reads; `reads` are the times at which its reads began, and the names that they returned."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.reads: list[tuple[float, set[str]]] = []
        self._process = process
        self.thread = threading.Thread(target=self._collect)
        self.thread.start()

    def _collect(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):  # the last line may be incomplete
                started, *names = line.split()
                self.reads.append((float(started), set(names)))

    def since(self, when: float) -> list[set[str]]:
        """Return the names that reads have returned that began after a time of the monotonic clock."""
        return [names for started, names in list(self.reads) if started > when]


@contextmanager
def watching(row: Instance, valkey_server: Valkey) -> Iterator[Watcher]:
    command = [sys.executable, "-m", "tests.cachelayer.watcher", str(row.pk)]
    process = subprocess.Popen(  # noqa: S603 - the command runs a program of the tests
        command, cwd=project.BASE_DIR, env=environment(REDIS_URL=valkey_server.url), stdout=subprocess.PIPE, text=True
    )
    with process:
        watcher = Watcher(process)
        try:
            wait_until(lambda: len(watcher.reads) > READS)
            yield watcher
        finally:
            process.kill()
            watcher.thread.join()


@contextmanager
def with_writes_paused(valkey_server: Valkey) -> Iterator[None]:
    """Let the server answer only reads for a moment, as during a planned failover."""
    valkey_server.client.execute_command("CLIENT", "PAUSE", WRITES_PAUSE_MS, "WRITE")
    yield
    valkey_server.client.execute_command("CLIENT", "UNPAUSE")


@contextmanager
def without_replicas(valkey_server: Valkey) -> Iterator[None]:
    """Let the server reject writes because it has fewer replicas than configured."""
    valkey_server.client.config_set("min-replicas-to-write", 1)
    yield
    valkey_server.client.config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize("fault", [with_writes_paused, a_replica, without_replicas, unable_to_save])
def test_no_process_reads_an_old_row_while_the_server_accepts_no_writes(
    valkey_server: Valkey,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[Valkey], AbstractContextManager[None]],
) -> None:
    monkeypatch.setattr(intents, "UNANNOUNCED_S", TRUST_S)
    row = an_instance(profile_name="old")
    with watching(row, valkey_server) as watcher:
        wait_until_in_use(get_runtime())
        with fault(valkey_server):
            row.profile_name = "new"
            row.save()
            committed = time.monotonic()
            wait_until(lambda: len(watcher.since(committed)) > READS)
        wait_until(lambda: len(watcher.since(committed)) > 2 * READS)
    stale = [names for names in watcher.since(committed) if names != {"new"}]
    assert stale == []
