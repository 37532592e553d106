"""What the processes are told to do, in memory that they share: no lock, for whoever held it could be killed."""

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

DIE, HOLD = 1, 2
HELD_UP = 0.1  # seconds


class Orders:
    """To be made before the processes are forked."""

    def __init__(self) -> None:
        numbers = memoryview(mmap.mmap(-1, 8 * (1 + 2 * WRITERS))).cast("q")
        self._stop, self._fate, self._cut_off = numbers[:1], numbers[1 : 1 + WRITERS], numbers[1 + WRITERS :]

    def stop(self) -> None:
        """Tell all to stop."""
        self._stop[0] = 1

    @property
    def is_stopped(self) -> bool:
        """Whether all are to stop."""
        return bool(self._stop[0])

    def die(self, writer: int) -> None:
        """Tell a writer to die after its next commit, before the cache hears of it."""
        self._fate[writer] = DIE

    def hold(self, writer: int) -> None:
        """Tell a writer to take its time there, instead."""
        self._fate[writer] = HOLD

    def is_to_meet(self, writer: int) -> bool:
        """Whether a writer has not come there yet."""
        return bool(self._fate[writer])

    def meet(self, writer: int) -> None:
        """Be a writer between its commit and what the cache does after it."""
        fate, self._fate[writer] = self._fate[writer], 0
        if fate == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        elif fate == HOLD:
            time.sleep(HELD_UP)

    def cut_off(self, writer: int, seconds: float) -> None:
        """Let the store be slow to one writer alone."""
        self._cut_off[writer] = monotonic_ns() + int(seconds * 1e9)

    def is_cut_off(self, writer: int, *, or_was: float = 0.0) -> bool:
        """Whether the store is slow to that writer, or was so many seconds ago."""
        return monotonic_ns() < self._cut_off[writer] + int(or_was * 1e9)


def obey(orders: Orders, writer: int) -> None:
    """Let the store be slow to this process when it is told so."""
    with_connection = RedisTransport._with_connection  # noqa: SLF001 - every round trip goes through it

    def slow(self: RedisTransport, send: Callable[[Any], Any], **options: Any) -> Any:
        if orders.is_cut_off(writer):
            raise StoreSlow("cut off")
        return with_connection(self, send, **options)

    RedisTransport._with_connection = slow  # type: ignore[method-assign]  # noqa: SLF001 - as above
