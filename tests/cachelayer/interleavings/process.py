"""A simulated process: the real cache runtime, a local cache, and the invalidation messages not yet received."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any, cast

from cachelayer.protocol.tags import Namespaces
from cachelayer.runtime.local_cache import FOREVER, LocalCache, LocalNamespace
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.runtime.single_flight import SingleFlight
from tests.cachelayer.interleavings.scheduler import is_actor_running, observe, running_actor, step
from tests.cachelayer.interleavings.server import Server, StoreClient

SUBSCRIBED = "subscribed"  # the first message that a process receives after it has subscribed again


class ChangesSince:
    """A time that an actor has read. Its `repr` lists what has changed since that time, as actors use only changes."""

    def __init__(self, changes: Callable[[], Hashable]) -> None:
        self._changes = changes

    def __repr__(self) -> str:
        return repr(self._changes())


class SteppedLocalCache(LocalCache):
    """A local cache whose fills and invalidations are steps, because several threads may use the local cache.

    Attributes:
        received: the invalidations that the process has received, as pairs of the sending actor and a tag.
    """

    def __init__(self, namespaces: Namespaces) -> None:
        super().__init__(namespaces)
        self.received: set[tuple[str, str]] = set()
        self._descriptions: dict[tuple[str, Hashable], str] = {}

    def sequence(self) -> int:
        sequence = super().sequence()
        observe(ChangesSince(lambda: self._changes_since(sequence)))
        return sequence

    def _changes_since(self, sequence: int) -> object:
        return self._oldest_sequence > sequence, sorted(tag for tag, when in self._touched.items() if when > sequence)

    def put(self, entries: LocalNamespace, key: Hashable, load: Callable[[], Any], *rest: Any) -> bool:
        if self.valid_until:
            step("local put")
            self._descriptions[entries.namespace.name, key] = describe(load())
        return super().put(entries, key, load, *rest)

    def invalidate(self, tags: Iterable[str]) -> None:
        if self.valid_until:
            step("local invalidate")
        super().invalidate(tags)
        if is_actor_running():
            self.received.update((running_actor().name, tag) for tag in tags)

    def state(self) -> Hashable:
        """Return all that threads can read in the local cache."""
        keys = [(name, key) for name, entries in self.namespaces.items() for key in sorted(entries.entries, key=str)]
        return [(key, self._descriptions[name, key]) for name, key in keys], self.valid_until > 0


class ObservedSingleFlight(SingleFlight):
    """A `SingleFlight` that records for each actor whether `acquire` succeeded."""

    def acquire(self, *args: Any) -> bool:
        acquired = super().acquire(*args)
        observe(acquired)
        return acquired

    def state(self) -> Hashable:
        """Return the names of the loads that are running."""
        return tuple(self._under_way)

    def finished_since(self, when: float) -> Hashable:
        """Return the names of the loads that have finished since the given time."""
        return tuple(sorted(name for name, finished_at in self._landed.items() if finished_at >= when))


class FakeEvent:
    """Replaces `threading.Event`: an actor that calls `wait` takes its next step once the event is set."""

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


class FakeLock:
    """Replaces `threading.Lock`, so that an actor may take steps while it holds the lock."""

    def __init__(self) -> None:
        self._is_held = False

    def __enter__(self) -> None:
        if self._is_held:
            step("wait", lambda: not self._is_held)
        self._is_held = True

    def __exit__(self, *_error: object) -> None:
        self._is_held = False


class FakeThreads:
    """Replaces the background threads of a cache runtime, because a `BackgroundActor` does their work."""

    def __init__(self) -> None:
        self.wake: Callable[[], object] = lambda: None

    def start(self) -> None:
        """Do nothing, because there are no background threads."""

    def stop(self) -> None:
        """Do nothing, because there are no background threads."""


class Process:
    """One simulated process.

    Args:
        name: the name of the process in traces.
        server: the server that all processes share.
        namespaces: the namespaces of all cached models.
        untouched_tags: tags whose state never changes in the scenario; see `StoreClient`.
        uses_local_cache: whether the local cache is valid, and the process is subscribed to invalidation messages.
        atomic_pipelines: whether all commands of a pipeline are one step.

    Attributes:
        is_concurrent: whether several actors use the process; then the start of an actor is a step, too.
        can_be_cut_off: whether the scenario may disconnect the process from the store.
        is_cut_off: whether the process cannot reach the store now.
        has_degraded: whether the circuit breaker of the process has ever been open.
    """

    def __init__(  # noqa: PLR0913 - each argument is documented in the docstring
        self,
        name: str,
        server: Server,
        namespaces: Namespaces,
        untouched_tags: frozenset[str],
        *,
        uses_local_cache: bool,
        atomic_pipelines: bool = False,
    ) -> None:
        self.name = name
        self.is_dead = self.can_be_cut_off = self.is_cut_off = self.has_degraded = False
        self.uses_local_cache = self.is_concurrent = uses_local_cache
        self.channel: deque[tuple[str, tuple[str, ...]]] = deque()
        self.threads = FakeThreads()
        self.runtime = CacheRuntime(namespaces).use_store(
            lambda runtime: StoreClient(
                server, self, runtime.local.invalidate, untouched_tags, atomic_pipelines=atomic_pipelines
            )
        )
        self.runtime.threads = self.threads  # type: ignore[assignment]  # FakeThreads has all methods that the runtime calls
        if uses_local_cache:
            server.subscribers.append(self)
            self.local.set_valid_until(FOREVER)

    @property
    def local(self) -> SteppedLocalCache:
        """The local cache of the process."""
        return cast("SteppedLocalCache", self.runtime.local)

    def receive_message(self) -> None:
        """Handle the oldest invalidation message that the process has not received yet."""
        sender, words = self.channel.popleft()
        if SUBSCRIBED in words:
            self._resync()
            return
        self.local.received.update((sender, word) for word in words)
        self.runtime.on_message(words)

    def _resync(self) -> None:
        """Handle a new subscription to invalidations, as `InvalidationSubscriber` does."""
        self.local.invalidate_all()
        self.threads.wake()
        if self.uses_local_cache:
            self.local.set_valid_until(FOREVER)

    def state(self) -> Hashable:
        """Return all that the threads of the process can read in its memory."""
        runtime = self.runtime
        return (
            self.can_be_cut_off,
            (self.is_cut_off, self.has_degraded, runtime.breaker.is_closed, vars(runtime.breaker)["_failures"]),
            [write.id for write in runtime.pending_ends],
            self.local.state(),
            cast("ObservedSingleFlight", runtime.single_flight).state(),
            list(self.channel),
        )


def describe(value: Any) -> str:
    """Return the profile names of the row or rows in a cached value; "-" for a value without rows."""
    rows = getattr(value, "rows", None)
    return getattr(value, "profile_name", "-") if rows is None else " ".join(row.profile_name for row in rows)
