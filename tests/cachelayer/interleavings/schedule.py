"""A deterministic scheduler: actors run real code, one at a time, and stop before each step that others can notice.

An actor is a greenlet. What it does from one call of `step` to the next is one atomic step, and so is each `Happening`:
a message that arrives, a process that dies. One schedule is on at a time, and `step` and `note` know which.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import greenlet

if TYPE_CHECKING:
    from tests.cachelayer.interleavings.database import Connection
    from tests.cachelayer.interleavings.process import Process


def _always() -> bool:
    return True


class Actor:
    """One thread of a process, with a connection to the database.

    Attributes:
        role: what it does; actors of one role can stand in for each other.
        next: what it does when it is let go on.
        can: whether it can: not while it waits for a lock.
        seen: what it has learnt and not forgotten since: what it will do follows from that, `next` and `role`.
        steps: how many it has taken.
    """

    def __init__(
        self, name: str, role: str, process: "Process", connection: "Connection", act: Callable[[], object]
    ) -> None:
        self.name = name
        self.role = role
        self.process = process
        self.connection = connection
        self.next = ""
        self.can: Callable[[], bool] = _always
        self.seen: list[Hashable] = []
        self.steps = 0
        self._greenlet = greenlet.greenlet(act)

    @property
    def is_over(self) -> bool:
        """Whether it will never do anything again."""
        return self.process.is_dead or bool(self._greenlet.dead)

    def resume(self) -> None:
        """Let it take one step.

        Raises:
            Exception: whatever it raises.
        """
        self._greenlet.switch()

    def pause(self) -> None:
        """Give control back; called inside of it."""
        self._greenlet.parent.switch()

    def unwind(self) -> None:
        """Let it go out of all it is in."""
        self._greenlet.throw()

    def state(self) -> Hashable:
        """Return what it will do follows from."""
        return self.role, self.next, tuple(self.seen)


@dataclass(frozen=True)
class Happening:
    """What is done to actors; it may happen whenever it `can`."""

    can: Callable[[], bool]
    act: Callable[[], object]


class Schedule:
    """All that may be next, and what has been so far (`log`)."""

    def __init__(self) -> None:
        global _now  # noqa: PLW0603 - doubles of modules and classes must find it
        _now = self
        self.actors: dict[str, Actor] = {}
        self.happenings: dict[str, Happening] = {}
        self.running: Actor | None = None
        self.is_over = False
        self.log: list[str] = []

    def add(self, actor: Actor) -> None:
        """Add an actor and let it come to its first step."""
        self.actors[actor.name] = self.running = actor
        actor.resume()
        self.running = None

    def choices(self) -> Iterator[str]:
        """Yield the names of all that may be next."""
        for actor in self.actors.values():
            if not actor.is_over and actor.can():
                yield actor.name
        for name, happening in self.happenings.items():
            if happening.can():
                yield name

    def take(self, choice: str) -> None:
        """Let one of the choices be next.

        Raises:
            Exception: whatever an actor raises.
        """
        actor = self.actors.get(choice)
        if actor is None:
            self.log.append(choice)
            self.happenings[choice].act()
            return
        self.log.append(f"{choice}: {actor.next}")
        actor.steps += 1
        self.running = actor
        actor.resume()
        self.running = None

    def close(self) -> None:
        """End it; nobody sees what actors do on their way out."""
        self.is_over = True
        for actor in self.actors.values():
            self.running = actor
            actor.unwind()


_now: Schedule | None = None


def step(what: str, can: Callable[[], bool] = _always) -> None:
    """Stop before something that others can notice, until this actor is let go on. Outside of actors it is nothing.

    Args:
        what: it is.
        can: whether it is possible.

    Raises:
        GreenletExit: the schedule is over.
    """
    if _now is None or _now.running is None:
        return
    if _now.is_over:
        raise greenlet.GreenletExit
    actor = _now.running
    actor.next, actor.can = what, can
    actor.pause()


def note(seen: Hashable) -> None:
    """Remember what the running actor has learnt."""
    if _now is not None and _now.running is not None:
        _now.running.seen.append(seen)


def running() -> Actor:
    """Return the actor that runs."""
    assert _now is not None
    assert _now.running is not None
    return _now.running


def is_running() -> bool:
    """Whether an actor runs: if not, it is something that happens to them."""
    return _now is not None and _now.running is not None
