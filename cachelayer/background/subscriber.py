"""The thread that hears what other processes touch.

It also asks the server, on the same connection, for an answer to each of its questions: whatever was announced before
a question has arrived by the time of its answer. So the local tier may be trusted for a second from the moment when
the last answered question was sent, and for no longer.
"""

import threading
from time import monotonic
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from cachelayer.stores.base import LOST, StoreDown
from logs.contexts import Context

if TYPE_CHECKING:
    from cachelayer.runtime.runtime import CacheRuntime
    from cachelayer.stores.redis import RedisStore

QUESTION_EVERY = 0.2  # seconds
TRUSTED_FOR = 1.0
RETRY_AFTER = 0.25
NAP = 0.002  # after announcements of our own: while we write, hearing ourselves is not to cost as much again

_LOST = f"\n{LOST}".encode()  # what only the server knows is news to the sender too

log = Context.CACHE.logger


class InvalidationSubscriber:
    """Listens for a service until it is told to stop."""

    def __init__(self, service: "CacheRuntime", store: "RedisStore", stopped: threading.Event) -> None:
        self._service = service
        self._store = store
        self._stopped = stopped
        self._own = f"{service.client_id}\n".encode()
        self._heard_at = 0.0
        self._is_lost = False

    def run(self) -> None:
        """Listen, and connect again whenever the channel is lost. The local tier is off meanwhile, and empty."""
        while not self._stopped.is_set():
            try:
                self._listen()
            except (RedisError, OSError, StoreDown, ValueError) as error:  # the last: it is none of our words
                self._lost(error)
                self._stopped.wait(RETRY_AFTER)
        self._service.local.invalidate_all()

    def _lost(self, error: Exception) -> None:
        """Note, once, that nothing can be heard."""
        self._service.local.invalidate_all()
        if not self._is_lost:
            self._is_lost = True
            self._service.counters.count("lost channels")
            log.warning("Cache channel LOST: %s; the memory of this process is off until it is back", error)

    def _listen(self) -> None:
        """Listen on one connection until it is lost."""
        with self._store.subscribe() as subscription:
            self._heard_at = monotonic()
            asked, wrote = 0.0, False
            while not self._stopped.is_set():
                now = monotonic()
                if now - asked >= QUESTION_EVERY:
                    asked = now
                    subscription.ping(repr(now))
                kind, said = subscription.receive(0 if wrote else max(asked + QUESTION_EVERY - monotonic(), 0.001))
                if kind == "message" and said.startswith(self._own) and _LOST not in said:
                    wrote = True
                elif kind:
                    self._handle(kind, said)
                elif wrote:
                    wrote = self._stopped.wait(NAP)
                elif monotonic() - self._heard_at > TRUSTED_FOR:
                    raise StoreDown("no answer for a second")

    def _resync(self) -> None:
        """Make good what may have been said unheard: of tags that were touched, of intents of ours that were lost."""
        self._service.local.invalidate_all()
        if self._service.threads is not None:
            self._service.threads.wake()

    def _handle(self, kind: str, said: bytes) -> None:
        service = self._service
        if kind == "message":
            service.on_message(said.decode().split("\n")[1:])
        elif kind == "subscribe":
            self._resync()
        elif kind == "pong":
            self._heard_at, self._is_lost = float(said), False
            if service.breaker.is_closed:
                service.local.set_valid_until(self._heard_at + TRUSTED_FOR)
