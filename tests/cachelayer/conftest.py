"""Fixtures for tests of `cachelayer`: a runtime with an empty cache in use, and a Valkey server that can fail."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.conf import settings as django_settings
from django_redis import get_redis_connection
from redis.exceptions import TimeoutError as RedisTimeoutError

from cachelayer.background import heartbeat, recovery, subscriber
from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.runtime import circuit_breaker, redis_options
from cachelayer.runtime.runtime import CacheRuntime, get_runtime, runtime
from cachelayer.stores import memory, redis
from cachelayer.stores.base import StoreDown, StoreSlow
from cachelayer.stores.redis import RedisStore
from cachelayer.write import intents
from tests import valkey
from tests.valkey import ANSWER_WITHIN, Valkey
from tests.waiting import TIMEOUT, wait_until

SHORT_TIMEOUT = 0.25  # seconds after which the store of a test with the mark `short_timeouts` is slow
QUARANTINE_S = 0.05  # length of a quarantine in tests; 2 s in production
MAX_PING_DELAY = 10.0  # seconds in which a busy machine answers a ping or a write


def shorten_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the quarantine of the store, the intervals of the background threads, and the waits of writes."""
    for module in (memory, redis, recovery):
        monkeypatch.setattr(module, "QUARANTINE_S", QUARANTINE_S)
    for module in (recovery, heartbeat):
        monkeypatch.setattr(module, "INTERVAL", 0.05)
    monkeypatch.setattr(recovery, "RECOVERY_INTERVAL", 0.05)
    monkeypatch.setattr(circuit_breaker, "TRUST_S", MAX_PING_DELAY)
    monkeypatch.setattr(intents, "UNANNOUNCED_S", 0.05)
    monkeypatch.setattr(subscriber, "RECONNECT_DELAY", 0.05)


@pytest.fixture
def unblocked_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:  # noqa: ARG001 - the fixture django_db_setup creates the database
    """Database access without a reset after the test, for tests that open transactions but write no rows."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def cache_runtime(
    monkeypatch: pytest.MonkeyPatch,
    django_db_setup: None,  # noqa: ARG001 - the fixture django_db_setup creates the database
    django_db_blocker: Any,
) -> Iterator[CacheRuntime]:
    """The cache runtime of the test process, with an empty cache, on the store that the settings configure.

    The recovery thread may use the database, because after an outage it has to read the outbox.
    """
    shorten_delays(monkeypatch)
    monkeypatch.setattr(subscriber, "LOCAL_CACHE_VALID_FOR", MAX_PING_DELAY)
    with django_db_blocker.unblock():
        yield reset_cache()
        reset_cache()


@pytest.fixture
def valkey_server(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    django_db_setup: None,  # noqa: ARG001 - the fixture django_db_setup creates the database
    django_db_blocker: Any,
) -> Iterator[Valkey]:
    """A new Valkey server for one test; the cache runtime of the test process uses the server, with an empty cache.

    The recovery thread may use the database, because after an outage it has to read the outbox.
    """
    shorten_delays(monkeypatch)
    with django_db_blocker.unblock():
        with valkey.running() as running:
            use_redis(settings, running.url, store_timeout(request))
            reset_cache()
            yield running
        settings.CACHES = _CACHES
        reset_cache()


_CACHES = django_settings.CACHES


def store_timeout(request: pytest.FixtureRequest) -> float:
    """Return the time-out of the store in a test: a short one only if the test lets the server hang or lose replies."""
    return SHORT_TIMEOUT if request.node.get_closest_marker("short_timeouts") else ANSWER_WITHIN


def use_redis(settings: Any, url: str, timeout: float = ANSWER_WITHIN) -> CacheRuntime:
    """Let the cache runtime use the server at a URL, with a time-out in seconds; the server need not answer."""
    options = redis_options.REDIS_OPTIONS | dict.fromkeys(("SOCKET_CONNECT_TIMEOUT", "SOCKET_TIMEOUT"), timeout)
    stop_threads()
    settings.CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url, "OPTIONS": options}}
    return runtime.use_configured_store(owns_cache=True)


def stop_threads() -> None:
    """Stop the background threads, and wait for those that write: they would count late replies for the next store."""
    if runtime.threads is not None:
        runtime.threads.stop()
    for thread in threading.enumerate():
        if thread.name in ("cachelayer-heartbeat", "cachelayer-recovery"):
            thread.join(TIMEOUT)


@contextmanager
def out_of_memory(server: Valkey) -> Iterator[None]:
    """Let a server reject writes because of a full memory until the `with` block ends."""
    server.client.config_set("maxmemory-policy", "noeviction")
    server.client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        server.client.config_set("maxmemory", 0)


def reset_cache() -> CacheRuntime:
    """Let the cache runtime use the configured store again, with an empty cache, new threads and counters at 0."""
    with suppress(StoreDown):
        get_runtime().store.read([], [GLOBAL_TAG])  # waits for commands that were sent without a reply
    stop_threads()
    current = runtime.use_configured_store(owns_cache=True)
    if isinstance(current.store, RedisStore):
        wait_until(lambda: _try_to_empty(current))
        wait_until_in_use(current)
    return current


def wait_until_in_use(current: CacheRuntime) -> None:
    """Wait until reads of the runtime use both the local cache and the shared store."""
    current.ensure_started()
    wait_until(lambda: current.breaker.is_closed and current.local.valid_until > time.monotonic())
    wait_until(lambda: _is_out_of_quarantine(current))


def _try_to_empty(current: CacheRuntime) -> bool:
    """Empty the store; return False if the Redis server does not answer in time."""
    with suppress(StoreSlow, RedisTimeoutError):
        client, prefix = get_redis_connection(), django_settings.CACHELAYER["PREFIX"]
        for key in client.scan_iter(match=f"{prefix}:*"):
            client.unlink(key)
        current.store.reinitialize(quarantine=False)
        client.unlink(f"{prefix}:t:{GLOBAL_TAG}")  # ends the quarantine that began with reinitialize()
        return True
    return False


def _is_out_of_quarantine(current: CacheRuntime) -> bool:
    """Tell whether readers may use cache entries because there is no quarantine; False if the store answers late."""
    with suppress(StoreSlow):
        return not (current.store.read([], [GLOBAL_TAG])[1][0] or b"").startswith(b"!")
    return False
