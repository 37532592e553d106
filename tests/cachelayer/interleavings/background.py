"""The background work of a process as one actor: each of its rounds runs the real heartbeat and recovery thread once.

In production both run every second, and more often while the store is away. So two seconds do not pass before each live
process has finished a whole round and received all messages.
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
    """The event that stops a `PeriodicThread`. It is set at every second check, so that `run` ticks once."""

    def __init__(self) -> None:
        self._checks = 0

    def is_set(self) -> bool:
        self._checks += 1
        return self._checks % 2 == 0


class NonBlockingEvent(FakeEvent):
    """The event on which a `PeriodicThread` waits between two ticks; here `BackgroundActor` waits instead."""

    def wait(self, _timeout: float) -> None:
        """Return at once."""


class BackgroundActor:
    """The heartbeat and the recovery thread of one process.

    Args:
        process: the process.
        clock: returns seconds.
        epoch: returns a number that grows whenever a quarantine begins, a recovery begins to wait, or a second passes.
        has_outbox_rows: returns whether there are rows in the outbox.
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
        self._round_epoch = 0  # the epoch in which the last finished round began
        self._heartbeat = LeaseRenewer(process.runtime, cast("threading.Event", StoppedAfterOneTick()))
        self._recovery = RecoveryThread(process.runtime, cast("threading.Event", StoppedAfterOneTick()))
        self._recovery.is_server = True
        process.threads.wake = self._wake

    def run(self) -> None:
        """Run a round whenever one is needed."""
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
        """When the store answered again, while the recovery thread does not use it yet."""
        return cast("float | None", vars(self._recovery)["_reachable_since"])

    @property
    def is_waiting(self) -> bool:
        """Whether the recovery thread would not use the store yet if it ran now."""
        return self.reachable_since is not None and self._clock() - self.reachable_since < QUARANTINE_S

    def _is_needed(self) -> bool:
        """Tell whether a round would change anything now."""
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
        """Tell whether the process has finished a round of the current epoch and received all messages."""
        process = self.process
        if process.is_dead:
            return True
        has_run = self._round_epoch == self._epoch() and not self._is_woken
        return not process.channel and (has_run or (process.is_cut_off and not process.runtime.breaker.is_closed))

    def state(self) -> tuple[object, ...]:
        """Return what determines its further behaviour."""
        has_unannounced = self.process.runtime.unannounced_count != vars(self._recovery)["_recovered_epoch"]
        return (
            has_unannounced,
            self._is_woken,
            self._round_epoch == self._epoch(),
            self.reachable_since and round(self._clock() - self.reachable_since),
        )
