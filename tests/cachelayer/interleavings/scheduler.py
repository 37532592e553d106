"""A deterministic scheduler: it runs actors one at a time, and each stops before every step that others can notice.

An actor is a greenlet. The code between two calls of `step` is one atomic step. So is each `Event`, for example a
message that arrives or a process that crashes. Only one scheduler is active at a time; `step` and `observe` use it.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import greenlet


def _always() -> bool:
    return True


class Actor:
    """One thread of a process, with a connection to the database.

    Attributes:
        role: names its work; actors of the same role are interchangeable.
        process: the `Process` in which it runs. Not typed here, because processes themselves take steps.
        connection: its `FakeConnection`; likewise.
        next_step: the step that it takes when it is resumed.
        is_enabled: returns whether it can take that step; it cannot while it waits for a lock.
        observations: values that it has read and still uses. With `role` and `next_step` they determine its behaviour.
        steps: how many steps it has taken.
    """

    def __init__(self, name: str, role: str, process: Any, connection: Any, run: Callable[[], object]) -> None:
        self.name = name
        self.role = role
        self.process = process
        self.connection = connection
        self.next_step = ""
        self.is_enabled: Callable[[], bool] = _always
        self.observations: list[Hashable] = []
        self.steps = 0
        self._greenlet = greenlet.greenlet(run)

    @property
    def is_finished(self) -> bool:
        """Whether it takes no more steps."""
        return bool(self.process.is_dead or self._greenlet.dead)

    def resume(self) -> None:
        """Run it until its next step.

        Raises:
            Exception: whatever the actor raises.
        """
        self._greenlet.switch()

    def pause(self) -> None:
        """Return control to the scheduler; called inside the actor."""
        self._greenlet.parent.switch()

    def unwind(self) -> None:
        """End the greenlet by raising GreenletExit in it."""
        self._greenlet.throw()

    def state(self) -> Hashable:
        """Return what determines its further behaviour."""
        return self.role, self.next_step, tuple(self.observations)


@dataclass(frozen=True)
class Event:
    """A step that no actor takes. It may happen whenever `is_enabled` returns True."""

    is_enabled: Callable[[], bool]
    apply: Callable[[], object]


class Scheduler:
    """The actors and events of one run, and the trace of the steps so far (`log`)."""

    def __init__(self) -> None:
        global _current  # noqa: PLW0603 - fakes of modules and classes have no reference to it
        _current = self
        self.actors: dict[str, Actor] = {}
        self.events: dict[str, Event] = {}
        self.running: Actor | None = None
        self.is_closed = False
        self.log: list[str] = []

    def add(self, actor: Actor) -> None:
        """Add an actor and run it to its first step."""
        self.actors[actor.name] = self.running = actor
        actor.resume()
        self.running = None

    def choices(self) -> Iterator[str]:
        """Yield the names of the actors and events that may come next."""
        for actor in self.actors.values():
            if not actor.is_finished and actor.is_enabled():
                yield actor.name
        for name, event in self.events.items():
            if event.is_enabled():
                yield name

    def take(self, choice: str) -> None:
        """Take one step.

        Args:
            choice: the name of an actor or an event.

        Raises:
            Exception: whatever the actor raises.
        """
        actor = self.actors.get(choice)
        if actor is None:
            self.log.append(choice)
            self.events[choice].apply()
            return
        self.log.append(f"{choice}: {actor.next_step}")
        actor.steps += 1
        self.running = actor
        actor.resume()
        self.running = None

    def close(self) -> None:
        """End the run and unwind all actors."""
        self.is_closed = True
        for actor in self.actors.values():
            self.running = actor
            actor.unwind()


_current: Scheduler | None = None


def step(name: str, is_enabled: Callable[[], bool] = _always) -> None:
    """Pause the running actor before a step that others can notice. Outside of actors this does nothing.

    Args:
        name: describes the step in traces.
        is_enabled: returns whether the step is possible now.

    Raises:
        GreenletExit: the run has ended.
    """
    if _current is None or _current.running is None:
        return
    if _current.is_closed:
        raise greenlet.GreenletExit
    actor = _current.running
    actor.next_step, actor.is_enabled = name, is_enabled
    actor.pause()


def observe(value: Hashable) -> None:
    """Add a value that the running actor has read to its observations."""
    if _current is not None and _current.running is not None:
        _current.running.observations.append(value)


def running_actor() -> Actor:
    """Return the actor that runs."""
    assert _current is not None
    assert _current.running is not None
    return _current.running


def is_actor_running() -> bool:
    """Tell whether an actor runs; if not, an event is being applied."""
    return _current is not None and _current.running is not None
