"""What keeps a process in step: the real pulse and mender, a round of both at a time.

They are at work every second, and more often while the store is away. So whatever takes two seconds is not over before
each living process has been through a whole round, and has heard what was announced.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from cachelayer.background.heartbeat import LeaseRenewer
from cachelayer.background.recovery import RecoveryThread
from cachelayer.stores.base import QUARANTINE_S
from tests.cachelayer.interleavings.process import Process, Signal
from tests.cachelayer.interleavings.schedule import running, step

if TYPE_CHECKING:
    import threading


class Once:
    """What a thread asks whether it is to stop: after each round."""

    def __init__(self) -> None:
        self._asked = 0

    def is_set(self) -> bool:
        self._asked += 1
        return self._asked % 2 == 0


class Due(Signal):
    """What a thread waits for between its rounds, when it does not; see `await_work` below."""

    def wait(self, _timeout: float) -> None:
        """Do not."""


class Mending:
    """The pulse and the mender of one process.

    Args:
        process: which one.
        clock: seconds.
        epoch: grows whenever somebody begins to wait for two seconds.
        has_outbox: whether there is a row in it.
    """

    def __init__(
        self, process: Process, clock: Callable[[], float], epoch: Callable[[], int], has_outbox: Callable[[], bool]
    ) -> None:
        self.process = process
        self._clock = clock
        self._epoch = epoch
        self._has_outbox = has_outbox
        self._mended = 0  # the epoch in which the last whole round began
        self._pulse = LeaseRenewer(process.service, cast("threading.Event", Once()))
        self._mender = RecoveryThread(process.service, cast("threading.Event", Once()))
        self._mender.is_server = True
        process.threads.wake = self._hurry

    def run(self) -> None:
        """Be an actor."""
        while True:
            running().seen.clear()
            step("mend", self._is_needed)
            began = self._epoch()
            self._pulse.run()
            self._mender.run()
            self._mended = began

    def _hurry(self) -> None:
        self._pulse.wake()
        self._mender.wake()

    @property
    def _is_due(self) -> bool:
        return any(vars(thread)["_woken"].is_set() for thread in (self._pulse, self._mender))

    @property
    def waits_since(self) -> float | None:
        """Since when the store answers, and is not believed yet."""
        return cast("float | None", vars(self._mender)["_reachable_since"])

    @property
    def is_waiting(self) -> bool:
        """Whether it would not believe the store yet if it looked."""
        return self.waits_since is not None and self._clock() - self.waits_since < QUARANTINE_S

    def _is_needed(self) -> bool:
        """Whether a round now would change anything."""
        service = self.process.service
        if self.process.is_cut:
            return service.breaker.is_closed
        return (
            self._is_due
            or self._mended != self._epoch()
            or (not service.breaker.is_closed and not self.is_waiting)
            or bool(service.pending_ends)
            or self._has_outbox()
        )

    def is_in_step(self) -> bool:
        """Whether two seconds may have passed since the last epoch began."""
        process = self.process
        if process.is_dead:
            return True
        has_been = self._mended == self._epoch() and not self._is_due
        return not process.channel and (has_been or (process.is_cut and not process.service.breaker.is_closed))

    def contents(self) -> tuple[object, ...]:
        """Return what it will do follows from."""
        is_unheard = self.process.service.unannounced_count != vars(self._mender)["_recovered_epoch"]
        return (
            is_unheard,
            self._is_due,
            self._mended == self._epoch(),
            self.waits_since and round(self._clock() - self.waits_since),
        )
