"""The threads of monitoring. They run in every server process and every worker, and one process at a time acts.

So an alarm is raised as long as one process lives, also if all workers have ended. Checks and each channel have a
thread of their own, because a server that does not answer must not delay the alarms.
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from django.conf import settings
from django.db import connection

from conversations.ingest.inbox.web_background import PeriodicTask
from conversations.monitoring import alarms, audit, history, media, memory, probe, sending, turns
from logs.periodic import PeriodicThread

STOP_SECONDS = 1.0  # to wait for the end of a thread; what it does is repeated by another process


class Duty(NamedTuple):
    """Something that one process does every `seconds`."""

    name: str
    seconds: float
    function: Callable[[], None]

    def run(self) -> None:
        """Do it if no other process has done it recently."""
        if turns.take(self.name, self.seconds):
            self.function()


class MonitoringThread(PeriodicThread):
    """A thread that does some duties, one after the other."""

    def __init__(self, duties: Sequence[Duty]) -> None:
        super().__init__(threading.Event())
        self._tasks = [PeriodicTask(duty.run, duty.seconds) for duty in duties]
        self._pause = min(duty.seconds for duty in duties)

    def run(self) -> None:
        """Do the duties until `stop` is called."""
        super().run()
        connection.close()

    def tick(self, *, woken: bool) -> float:  # noqa: ARG002 - the base class defines the signature
        """Do the duties that are due; return the seconds until the next tick."""
        for task in self._tasks:
            task.run_if_due()
        return self._pause / 5

    def stop(self) -> None:
        """Make `run` return."""
        self._stopped.set()
        self.wake()


def make_threads() -> list[MonitoringThread]:
    """Return the threads that the settings ask for, not started."""
    watching = [
        Duty("alarms", alarms.EVALUATION_SECONDS, alarms.evaluate),
        Duty("activity", memory.ACTIVITY_SECONDS, memory.remember_activity),
        Duty("history", history.REMEMBER_SECONDS, history.remember),
    ]
    functions = {"audit": audit.audit, "media": media.check, "probe": probe.probe}
    checks = [Duty(name, seconds, functions[name]) for name, seconds in settings.MONITORING_CHECKS.items() if seconds]
    senders = [
        [Duty(f"send {channel}", sending.SENDING_SECONDS, partial(sending.send_due, channel))]
        for channel in settings.ALARM_CHANNELS
    ]
    return [MonitoringThread(duties) for duties in (watching, checks, *senders) if duties]
