"""Fixtures of the cache's tests: a cache that starts empty and believes in its store, and a store that can fail."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.conf import settings as django_settings
from django_redis import get_redis_connection
from redis.exceptions import TimeoutError as RedisTimeoutError

from cachelayer.background import heartbeat, recovery, subscriber
from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.runtime import redis_options
from cachelayer.runtime.runtime import CacheRuntime, get_runtime, runtime
from cachelayer.stores import memory, redis
from cachelayer.stores.base import StoreDown, StoreSlow
from cachelayer.stores.redis import RedisStore
from tests import valkey
from tests.valkey import Valkey

QUARANTINE_S = 0.05  # instead of 2 s: what is tested is that it happens
PATIENCE = 10.0  # seconds


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten what waits."""
    for module in (memory, redis, recovery):
        monkeypatch.setattr(module, "QUARANTINE_S", QUARANTINE_S)
    for module in (recovery, heartbeat):
        monkeypatch.setattr(module, "INTERVAL", 0.05)
    monkeypatch.setattr(recovery, "RECOVERY_INTERVAL", 0.05)
    monkeypatch.setattr(subscriber, "RECONNECT_DELAY", 0.05)


@pytest.fixture
def connected(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:  # noqa: ARG001 - a fixture's fixture
    """A database in which transactions begin and end, and nothing is written: so there is nothing to empty."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def cached(quick: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[CacheRuntime]:  # noqa: ARG001 - a fixture's fixture
    """This process' service, with nothing in it, in step with its store."""
    monkeypatch.setattr(subscriber, "LOCAL_CACHE_VALID_FOR", PATIENCE)  # for the machine may be busy
    yield use_new()
    use_new()


@pytest.fixture
def server(quick: None, settings: Any) -> Iterator[Valkey]:  # noqa: ARG001 - a fixture's fixture
    """A Valkey of the test's own, with this process' service on it."""
    with valkey.running() as running:
        on_server(settings, running.url)
        use_new()
        yield running
    settings.CACHES = _CACHES
    use_new()


_CACHES = django_settings.CACHES


def on_server(settings: Any, url: str) -> CacheRuntime:
    """Put this process' service on a server, which need not be there, with the time-outs of production."""
    options = redis_options.REDIS_OPTIONS | dict.fromkeys(
        ("SOCKET_CONNECT_TIMEOUT", "SOCKET_TIMEOUT"), redis_options.TIMEOUT
    )
    settings.CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url, "OPTIONS": options}}
    return runtime.use_configured_store(owns_cache=True)


@contextmanager
def full(server: Valkey) -> Iterator[None]:
    """Let a server have no memory left."""
    server.client.config_set("maxmemory-policy", "noeviction")
    server.client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        server.client.config_set("maxmemory", 0)


def use_new() -> CacheRuntime:
    """Start anew: an empty store, no counts, no threads of before, and no end of a write on its way."""
    with suppress(StoreDown):
        get_runtime().store.read([], [GLOBAL_TAG])  # comes after what was posted by the same connection
    now = runtime.use_configured_store(owns_cache=True)
    if isinstance(now.store, RedisStore):
        wait_until(lambda: is_emptied(now))
        believe(now)
    return now


def believe(now: CacheRuntime) -> None:
    """Wait until both tiers of a service are in use."""
    now.ensure_started()
    wait_until(lambda: now.breaker.is_closed and now.local.valid_until > time.monotonic())
    wait_until(lambda: is_out_of_quarantine(now))


def is_emptied(now: CacheRuntime) -> bool:
    """Empty the store; a busy machine may need more than one try."""
    with suppress(StoreSlow, RedisTimeoutError):
        client, prefix = get_redis_connection(), django_settings.CACHELAYER["PREFIX"]
        for key in client.scan_iter(match=f"{prefix}:*"):
            client.unlink(key)
        now.store.reinitialize(quarantine=False)
        client.unlink(f"{prefix}:t:{GLOBAL_TAG}")  # no quarantine: it was us who emptied it
        return True
    return False


def is_out_of_quarantine(now: CacheRuntime) -> bool:
    """Look whether anything is believed; likewise."""
    with suppress(StoreSlow):
        return not (now.store.read([], [GLOBAL_TAG])[1][0] or b"").startswith(b"!")
    return False


def wait_until(is_so: Callable[[], object]) -> None:
    """Wait for something that another thread or process does.

    Raises:
        TimeoutError: it does not happen.
    """
    ends = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > ends:
            raise TimeoutError(f"still not so after {PATIENCE:.0f} s")
        time.sleep(0.005)
