"""The subscriber thread receives the invalidation messages of other processes.

Every 0.2 s, the subscriber sends a ping on the subscribed connection. The answer to a ping arrives after every
invalidation message that was published before the ping. So the local cache may be used for one second from the moment
at which the subscriber sent the last ping that was answered, unless the store stops accepting writes before.
"""

import threading
from time import monotonic

from redis.exceptions import RedisError

from cachelayer.protocol import messages
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import StoreDown, Subscribe
from logs.contexts import Context

PING_INTERVAL = 0.2  # seconds between two pings to Redis
LOCAL_CACHE_VALID_FOR = 1.0  # seconds after an answered ping in which the local cache may be used
RECONNECT_DELAY = 0.25  # seconds before the subscriber connects again after a failure
OWN_MESSAGES_PAUSE = 0.002  # seconds to sleep after messages of this process, to receive several in one wake-up

log = Context.CACHE.logger


class InvalidationSubscriber:
    """The subscriber thread of one `CacheRuntime`."""

    def __init__(self, runtime: CacheRuntime, subscribe: Subscribe, stopped: threading.Event) -> None:
        self._runtime = runtime
        self._store = runtime.store
        self._subscribe = subscribe
        self._stopped = stopped
        self._own_prefix = messages.sender_prefix(runtime.client_id)
        self._answered_at = 0.0
        self._is_lost = False

    def run(self) -> None:
        """Receive invalidation messages, and connect again after each failure; turn off the local cache meanwhile."""
        while not self._stopped.is_set():
            try:
                self._receive_messages()
            except (RedisError, OSError, StoreDown, ValueError) as error:  # ValueError: malformed text
                self._on_channel_lost(error)
                self._stopped.wait(RECONNECT_DELAY)
        self._disable_local_cache()

    def _on_channel_lost(self, error: Exception) -> None:
        self._disable_local_cache()
        if not self._is_lost:  # log each outage only once
            self._is_lost = True
            self._runtime.counters.count("lost channels")
            log.warning("Cache channel LOST: %s; the local cache is off until it is back", error)

    def _receive_messages(self) -> None:
        """Receive invalidation messages from one connection until the connection is lost."""
        with self._subscribe() as subscription:
            self._answered_at = monotonic()
            pinged_at, received_own = 0.0, False
            while not self._stopped.is_set():
                now = monotonic()
                if now - pinged_at >= PING_INTERVAL:
                    pinged_at = now
                    subscription.ping(repr(now))
                timeout = 0 if received_own else max(pinged_at + PING_INTERVAL - monotonic(), 0.001)
                kind, text = subscription.receive(timeout)
                if kind == "message" and self._is_own(text):
                    received_own = True
                elif kind:
                    self._handle(kind, text)
                elif received_own:
                    received_own = self._stopped.wait(OWN_MESSAGES_PAUSE)
                elif monotonic() - self._answered_at > LOCAL_CACHE_VALID_FOR:
                    raise StoreDown("no answer to a ping for a second")

    def _is_own(self, message: bytes) -> bool:
        """Tell whether this process sent the message and the Redis server added no report of lost intents to it."""
        return message.startswith(self._own_prefix) and not messages.reports_lost_intents(message)

    def _handle(self, kind: str, text: bytes) -> None:
        if kind == "message":
            self._runtime.on_message(messages.decode(text))
        elif kind == "subscribe":
            self._resync()
        elif kind == "pong":
            self._answered_at, self._is_lost = float(text), False
            if self._runtime.breaker.is_closed and self._is_current():
                until = min(self._answered_at + LOCAL_CACHE_VALID_FOR, self._runtime.breaker.trusted_until)
                self._runtime.local.set_valid_until(until)

    def _resync(self) -> None:
        """Drop the local cache and renew all intents, because invalidation messages and intents may have been lost."""
        self._disable_local_cache()
        if self._runtime.threads is not None:
            self._runtime.threads.wake()

    def _disable_local_cache(self) -> None:
        if self._is_current():
            self._runtime.local.invalidate_all()

    def _is_current(self) -> bool:
        """Tell whether the `CacheRuntime` still uses the store that sends invalidation messages to this thread."""
        return self._runtime.store is self._store
