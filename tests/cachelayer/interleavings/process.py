"""A process: the real service, with a local tier whose changes are steps, and the messages that wait for it."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any, cast

from cachelayer.protocol.tags import Namespaces
from cachelayer.runtime.local_cache import FOREVER, LocalCache, LocalNamespace
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.runtime.single_flight import SingleFlight
from tests.cachelayer.interleavings.schedule import is_running, note, running, step
from tests.cachelayer.interleavings.server import Reached, Server

SUBSCRIBED = "subscribed"  # what a channel begins with that was lost before


class Since:
    """A moment that an actor remembers; all it is for is what has happened since."""

    def __init__(self, happened: Callable[[], Hashable]) -> None:
        self._happened = happened

    def __repr__(self) -> str:
        return repr(self._happened())


class SteppedLocal(LocalCache):
    """The local tier. While it is trusted, others may be at work in it, and what is kept and dropped are steps.

    Attributes:
        told: who has touched what, as far as it is known here.
    """

    def __init__(self, namespaces: Namespaces) -> None:
        super().__init__(namespaces)
        self.told: set[tuple[str, str]] = set()
        self._shown: dict[tuple[str, Hashable], str] = {}

    def sequence(self) -> int:
        mark = super().sequence()
        note(Since(lambda: self._since(mark)))
        return mark

    def _since(self, mark: int) -> object:
        return self._oldest_sequence > mark, sorted(tag for tag, when in self._touched.items() if when > mark)

    def put(  # noqa: PLR0913, PLR0917 - as it is
        self, tier: LocalNamespace, key: Hashable, thaw: Callable[[], Any], tags: tuple[str, ...], ttl: float, mark: int
    ) -> bool:
        if self.valid_until:
            step("keep")
            self._shown[tier.namespace.name, key] = shown(thaw())
        return super().put(tier, key, thaw, tags, ttl, mark)

    def invalidate(self, tags: Iterable[str]) -> None:
        if self.valid_until:
            step("drop")
        super().invalidate(tags)
        if is_running():
            self.told.update((running().name, tag) for tag in tags)

    def contents(self) -> Hashable:
        """Return all that threads can find here."""
        kept = [(name, key) for name, tier in self.namespaces.items() for key in sorted(tier.entries, key=str)]
        return [(key, self._shown[name, key]) for name, key in kept], self.valid_until > 0


class SteppedFlights(SingleFlight):
    """Loads that are under way."""

    def acquire(self, *given: Any) -> bool:
        leads = super().acquire(*given)
        note(leads)
        return leads

    def contents(self) -> Hashable:
        """Return what is under way."""
        return tuple(self._under_way)

    def landed_since(self, when: float) -> Hashable:
        """Return what is not under way any more."""
        return tuple(sorted(name for name, landed in self._landed.items() if landed >= when))


class Signal:
    """What the code under test takes a `threading.Event` for."""

    def __init__(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False

    def wait(self, _timeout: float) -> None:
        step("wait", self.is_set)


class Lock:
    """What the code under test takes a `threading.Lock` for where steps are taken inside of it."""

    def __init__(self) -> None:
        self._is_held = False

    def __enter__(self) -> None:
        if self._is_held:
            step("wait", lambda: not self._is_held)
        self._is_held = True

    def __exit__(self, *_error: object) -> None:
        self._is_held = False


class Keeper:
    """What a service takes its keeper for."""

    def __init__(self) -> None:
        self.wake: Callable[[], object] = lambda: None

    def start(self) -> None:
        """It is."""

    def stop(self) -> None:
        """Nothing goes on by itself."""


class Process:
    """One process.

    Args:
        name: it has.
        server: the store that it shares with others.
        namespaces: all there are.
        quiet: see `Reached`.
        listens: whether it has a local tier that is in use.

    Attributes:
        role: processes of the same one, with the same actors, can stand in for each other.
        is_busy: whether more goes on in it than one actor sees: then that one's beginning is a step too.
        is_cut: whether it cannot reach the store.
        has_failed: whether it has ever ceased to believe the store.
    """

    def __init__(  # noqa: PLR0913 - as documented
        self,
        name: str,
        server: Server,
        namespaces: Namespaces,
        quiet: frozenset[str],
        *,
        listens: bool,
        is_coarse: bool = False,
    ) -> None:
        self.name = name
        self.role = ""
        self.is_dead = self.is_cut = self.has_failed = False
        self.listens = self.is_busy = listens
        self.channel: deque[tuple[str, tuple[str, ...]]] = deque()
        self.threads = Keeper()
        self.service = CacheRuntime(namespaces).use_store(
            lambda runtime: Reached(server, self, runtime.local.invalidate, quiet, is_coarse=is_coarse)
        )
        self.service.threads = self.threads  # type: ignore[assignment]  # stands for it
        if listens:
            server.subscribers.append(self)
            self.local.set_valid_until(FOREVER)

    @property
    def local(self) -> SteppedLocal:
        """Its local tier."""
        return cast("SteppedLocal", self.service.local)

    def hear(self) -> None:
        """Take the message that waits the longest."""
        sender, words = self.channel.popleft()
        if SUBSCRIBED in words:
            self._has_missed()
            return
        self.local.told.update((sender, word) for word in words)
        self.service.on_message(words)

    def _has_missed(self) -> None:
        """Do as `listener` does: it listens again, and then it knows that it hears all."""
        self.local.invalidate_all()
        self.threads.wake()
        if self.listens:
            self.local.set_valid_until(FOREVER)

    def contents(self) -> Hashable:
        """Return all that its threads can find here."""
        service = self.service
        return (
            self.role,
            (self.is_cut, self.has_failed, service.breaker.is_closed, vars(service.breaker)["_failures"]),
            [write.id for write in service.pending_ends],
            self.local.contents(),
            cast("SteppedFlights", service.single_flight).contents(),
            list(self.channel),
        )


def shown(value: Any) -> str:
    """Return what matters of a value that was read: the names of its rows."""
    rows = getattr(value, "rows", None)
    return getattr(value, "profile_name", "-") if rows is None else " ".join(row.profile_name for row in rows)
