"""The background work of a process as one actor: each round runs the real heartbeat and the real recovery once.

In production, the heartbeat and the recovery run at least once a second. So the simulated clock advances by a second
only after each live process has finished a whole round and received all invalidation messages.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from cachelayer.background.heartbeat import LeaseRenewer
from cachelayer.background.recovery import RecoveryThread
from cachelayer.stores.base import QUARANTINE_S
from tests.cachelayer.interleavings.process import FakeEvent, Process
from tests.cachelayer.interleavings.scheduler import running_actor, step

if TYPE_CHECKING:
    import threading


class StoppedAfterOneTick:
    """Replaces the event that stops a `PeriodicThread`: set at every second check, so that `run` ticks once."""

    def __init__(self) -> None:
        self._checks = 0

    def is_set(self) -> bool:
        self._checks += 1
        return self._checks % 2 == 0


class NonBlockingEvent(FakeEvent):
    """Replaces the event on which a `PeriodicThread` waits between two ticks, so that the thread does not wait."""

    def wait(self, _timeout: float) -> None:
        """Return immediately."""


class BackgroundActor:
    """Does the work of the heartbeat thread and of the recovery thread of one process.

    Args:
        process: the process whose background work the actor does.
        clock: returns the simulated time in seconds.
        epoch: returns a number that grows when a quarantine begins, a recovery begins to wait, or a second passes.
        has_outbox_rows: returns whether the outbox holds any row.
    """

    def __init__(
        self,
        process: Process,
        clock: Callable[[], float],
        epoch: Callable[[], int],
        has_outbox_rows: Callable[[], bool],
    ) -> None:
        self.process = process
        self._clock = clock
        self._epoch = epoch
        self._has_outbox_rows = has_outbox_rows
        self._round_epoch = 0  # the epoch at the start of the last finished round
        self._heartbeat = LeaseRenewer(process.runtime, cast("threading.Event", StoppedAfterOneTick()))
        self._recovery = RecoveryThread(process.runtime, cast("threading.Event", StoppedAfterOneTick()))
        self._recovery.is_server = True
        process.threads.wake = self._wake

    def run(self) -> None:
        """Run a round of background work whenever a round is needed."""
        while True:
            running_actor().observations.clear()
            step("background round", self._is_needed)
            began = self._epoch()
            self._heartbeat.run()
            self._recovery.run()
            self._round_epoch = began

    def _wake(self) -> None:
        self._heartbeat.wake()
        self._recovery.wake()

    @property
    def _is_woken(self) -> bool:
        return any(vars(thread)["_woken"].is_set() for thread in (self._heartbeat, self._recovery))

    @property
    def reachable_since(self) -> float | None:
        """The time since which the store answers again; None unless the recovery thread waits to use the store."""
        return cast("float | None", vars(self._recovery)["_reachable_since"])

    @property
    def is_waiting(self) -> bool:
        """Whether the store answers again, but the recovery thread must wait longer before it uses the store."""
        return self.reachable_since is not None and self._clock() - self.reachable_since < QUARANTINE_S

    def _is_needed(self) -> bool:
        """Tell whether a round of background work would change anything now."""
        runtime = self.process.runtime
        if self.process.is_cut_off:
            return runtime.breaker.is_closed
        return (
            self._is_woken
            or self._round_epoch != self._epoch()
            or (not runtime.breaker.is_closed and not self.is_waiting)
            or bool(runtime.pending_ends)
            or self._has_outbox_rows()
        )

    def has_caught_up(self) -> bool:
        """Tell whether the process has finished a round in the current epoch and received all invalidation messages."""
        process = self.process
        if process.is_dead:
            return True
        has_run = self._round_epoch == self._epoch() and not self._is_woken
        return not process.channel and (has_run or (process.is_cut_off and not process.runtime.breaker.is_closed))

    def state(self) -> tuple[object, ...]:
        """Return all data that determines how the background work goes on."""
        has_unannounced = self.process.runtime.breaker.unannounced_count != vars(self._recovery)["_recovered_epoch"]
        return (
            has_unannounced,
            self._is_woken,
            self._round_epoch == self._epoch(),
            self.reachable_since and round(self._clock() - self.reachable_since),
        )
