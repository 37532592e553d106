"""Commands from the fault injection to the reader and writer processes, in shared memory.

The shared memory has no lock, because a process could be killed while it holds a lock.
"""

import mmap
import os
import signal
import time
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from cachelayer.stores.base import StoreSlow
from cachelayer.stores.transport import RedisTransport
from tests.soak.history import WRITERS

KILL, PAUSE = 1, 2
PAUSE_SECONDS = 0.1


class Commands:
    """The pending commands of all readers and writers. Create this object before these processes are forked."""

    def __init__(self) -> None:
        numbers = memoryview(mmap.mmap(-1, 8 * (1 + 2 * WRITERS))).cast("q")
        self._stopped = numbers[:1]
        self._after_commit = numbers[1 : 1 + WRITERS]
        self._partitioned_until = numbers[1 + WRITERS :]

    def stop(self) -> None:
        """Tell all readers and writers to stop."""
        self._stopped[0] = 1

    @property
    def is_stopped(self) -> bool:
        """Whether all readers and writers must stop."""
        return bool(self._stopped[0])

    def kill_after_commit(self, writer: int) -> None:
        """Tell a writer process to kill itself after its next COMMIT, before the cache ends the write (`end`)."""
        self._after_commit[writer] = KILL

    def pause_after_commit(self, writer: int) -> None:
        """Tell a writer process to pause after its next COMMIT, before the cache ends the write (`end`)."""
        self._after_commit[writer] = PAUSE

    def is_pending(self, writer: int) -> bool:
        """Whether a writer has received a command that it has not executed yet."""
        return bool(self._after_commit[writer])

    def execute_after_commit(self, writer: int) -> None:
        """Execute the pending command of a writer; the writer calls this between COMMIT and the cache's `end`."""
        command, self._after_commit[writer] = self._after_commit[writer], 0
        if command == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        elif command == PAUSE:
            time.sleep(PAUSE_SECONDS)

    def partition(self, writer: int, seconds: float) -> None:
        """Make all requests of one writer to the shared store time out for some seconds."""
        self._partitioned_until[writer] = monotonic_ns() + int(seconds * 1e9)

    def is_partitioned(self, writer: int, *, within_last: float = 0.0) -> bool:
        """Whether the store times out for a writer now, or did so within the last `within_last` seconds."""
        return monotonic_ns() < self._partitioned_until[writer] + int(within_last * 1e9)


def install_partition(commands: Commands, writer: int) -> None:
    """Patch this writer process so that its requests to the store fail while the writer is partitioned."""
    with_connection = RedisTransport._with_connection  # noqa: SLF001 - every request to the store calls this method

    def fail_or_send(self: RedisTransport, send: Callable[[Any], Any], **options: Any) -> Any:
        if commands.is_partitioned(writer):
            raise StoreSlow("partitioned")
        return with_connection(self, send, **options)

    RedisTransport._with_connection = fail_or_send  # type: ignore[method-assign]  # noqa: SLF001 - only a patch can cut one writer off
