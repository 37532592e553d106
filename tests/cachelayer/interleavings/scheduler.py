"""A deterministic scheduler: runs one actor at a time, and pauses the actor before each step that others can notice.

An actor is a greenlet. The code between two calls of `step` is one atomic step. Each `Event`, such as the crash of a
process, is also one atomic step. Only one scheduler is active at a time; `step` and `observe` use this scheduler.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import greenlet


def _always() -> bool:
    return True


class Actor:
    """One thread of a simulated process, with a connection to the database.

    Attributes:
        role: the name of the actor's work; actors with the same role are interchangeable.
        process: the `Process` in which the actor runs; typed as Any, because importing `Process` would be circular.
        connection: the actor's `FakeConnection`; typed as Any, because importing `FakeConnection` would be circular.
        next_step: the name of the step that the actor takes when it is resumed.
        is_enabled: returns whether the actor can take its next step, or False while the actor waits for a lock.
        observations: the values that the actor has read and still uses.
        steps: how many steps the actor has taken.
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
        """Whether the actor takes no more steps."""
        return bool(self.process.is_dead or self._greenlet.dead)

    def resume(self) -> None:
        """Run the actor until its next step.

        Raises:
            Exception: whatever the actor raises.
        """
        self._greenlet.switch()

    def pause(self) -> None:
        """Return control to the scheduler; only code that runs in the actor calls this method."""
        self._greenlet.parent.switch()

    def unwind(self) -> None:
        """End the greenlet of the actor by raising GreenletExit in the greenlet."""
        self._greenlet.throw()

    def state(self) -> Hashable:
        """Return all data that determines how the actor goes on."""
        return self.role, self.next_step, tuple(self.observations)


@dataclass(frozen=True)
class Event:
    """A step that no actor takes, such as a crash; an event may happen whenever `is_enabled` returns True."""

    is_enabled: Callable[[], bool]
    apply: Callable[[], object]


class Scheduler:
    """The actors and events of one run, and the trace of the steps so far (`log`)."""

    def __init__(self) -> None:
        global _current  # noqa: PLW0603 - the fakes have no other reference to the scheduler
        _current = self
        self.actors: dict[str, Actor] = {}
        self.events: dict[str, Event] = {}
        self.running: Actor | None = None
        self.is_closed = False
        self.log: list[str] = []

    def add(self, actor: Actor) -> None:
        """Add an actor, and run the actor to its first step."""
        self.actors[actor.name] = self.running = actor
        actor.resume()
        self.running = None

    def choices(self) -> Iterator[str]:
        """Yield the names of the actors and events that may take the next step."""
        for actor in self.actors.values():
            if not actor.is_finished and actor.is_enabled():
                yield actor.name
        for name, event in self.events.items():
            if event.is_enabled():
                yield name

    def take(self, choice: str) -> None:
        """Let one actor or event take one step.

        Args:
            choice: the name of the actor or event.

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
    """Pause the running actor before a step that others can notice. If no actor is running, do nothing.

    Args:
        name: the name of the step in traces.
        is_enabled: returns whether the step is possible now.

    Raises:
        GreenletExit: the run has ended, so the actor must end too.
    """
    if _current is None or _current.running is None:
        return
    if _current.is_closed:
        raise greenlet.GreenletExit
    actor = _current.running
    actor.next_step, actor.is_enabled = name, is_enabled
    actor.pause()


def observe(value: Hashable) -> None:
    """Record that the running actor has read a value."""
    if _current is not None and _current.running is not None:
        _current.running.observations.append(value)


def running_actor() -> Actor:
    """Return the actor that is running now."""
    assert _current is not None
    assert _current.running is not None
    return _current.running


def is_actor_running() -> bool:
    """Tell whether an actor is running; False while an event is applied."""
    return _current is not None and _current.running is not None
