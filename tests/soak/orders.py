"""What the processes are told to do, in memory that they share: no lock, for whoever held it could be killed."""

import mmap
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from cachelayer.store.base import StoreSlow
from cachelayer.store.wire import Wire
from tests.soak.history import WRITERS


class Orders:
    """To be made before the processes are forked."""

    def __init__(self) -> None:
        numbers = memoryview(mmap.mmap(-1, 8 * (1 + 2 * WRITERS))).cast("q")
        self._stop, self._die, self._cut_off = numbers[:1], numbers[1 : 1 + WRITERS], numbers[1 + WRITERS :]

    def stop(self) -> None:
        """Tell all to stop."""
        self._stop[0] = 1

    @property
    def is_stopped(self) -> bool:
        """Whether all are to stop."""
        return bool(self._stop[0])

    def die(self, writer: int) -> None:
        """Tell a writer to die after its next commit, before the cache hears of it."""
        self._die[writer] = 1

    def dies(self, writer: int) -> bool:
        """Whether a writer is to die now; it is told once."""
        told, self._die[writer] = self._die[writer], 0
        return bool(told)

    def cut_off(self, writer: int, seconds: float) -> None:
        """Let the store be slow to one writer alone."""
        self._cut_off[writer] = monotonic_ns() + int(seconds * 1e9)

    def is_cut_off(self, writer: int) -> bool:
        """Whether the store is slow to that writer."""
        return monotonic_ns() < self._cut_off[writer]


def obey(orders: Orders, writer: int) -> None:
    """Let the store be slow to this process when it is told so."""
    with_connection = Wire._with_connection  # noqa: SLF001 - every round trip goes through it

    def slow(self: Wire, once: Callable[[Any], Any], **options: Any) -> Any:
        if orders.is_cut_off(writer):
            raise StoreSlow("cut off")
        return with_connection(self, once, **options)

    Wire._with_connection = slow  # type: ignore[method-assign]  # noqa: SLF001 - as above
