import threading

from logs.periodic import PeriodicThread
from tests.waiting import TIMEOUT


class Idle(PeriodicThread):
    """Has nothing to do for an hour."""

    def tick(self, *, woken: bool) -> float:  # noqa: ARG002 - the base class defines the signature
        return 3600.0


def test_a_thread_that_is_stopped_just_after_it_has_looked_ends_at_once() -> None:
    """The thread cleared the wake-up, did its work once more, and waited for its next turn."""

    class Stopped(threading.Event):
        def is_set(self) -> bool:
            was_set = super().is_set()
            self.set()
            body.wake()
            return was_set

    body = Idle(Stopped())
    thread = threading.Thread(target=body.run, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    assert not thread.is_alive()
