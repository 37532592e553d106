"""Fixtures of the cache's tests: a cache that starts empty and believes in its store, and a store that can fail."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.conf import settings as django_settings
from django_redis import get_redis_connection
from redis.exceptions import TimeoutError as RedisTimeoutError

from cachelayer import connection, listener, mender, pulse, service
from cachelayer.namespaces import ROOT
from cachelayer.store import memory, redis
from cachelayer.store.base import StoreSlow
from cachelayer.store.redis import RedisStore
from tests import valkey
from tests.valkey import Valkey

QUARANTINE_S = 0.05  # instead of 2 s: what is tested is that it happens
PATIENCE = 10.0  # seconds


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten what waits."""
    for module in (memory, redis, mender):
        monkeypatch.setattr(module, "QUARANTINE_S", QUARANTINE_S)
    for module in (mender, pulse):
        monkeypatch.setattr(module, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(mender, "RECOVER_EVERY", 0.05)
    monkeypatch.setattr(listener, "RETRY_AFTER", 0.05)


@pytest.fixture
def connected(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:  # noqa: ARG001 - a fixture's fixture
    """A database in which transactions begin and end, and nothing is written: so there is nothing to empty."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def cached(quick: None) -> Iterator[service.Service]:  # noqa: ARG001 - a fixture's fixture
    """This process' service, with nothing in it, in step with its store."""
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


def on_server(settings: Any, url: str) -> service.Service:
    """Put this process' service on a server, which need not be there."""
    options = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url, "OPTIONS": connection.OPTIONS}
    settings.CACHES = {"default": options}
    return service.use(service.make(is_guest=False))


@contextmanager
def full(server: Valkey) -> Iterator[None]:
    """Let a server have no memory left."""
    server.client.config_set("maxmemory-policy", "noeviction")
    server.client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        server.client.config_set("maxmemory", 0)


def use_new() -> service.Service:
    """Start anew: an empty store, no counts, no threads of before."""
    now = service.use(service.make(is_guest=False))
    if isinstance(now.store, RedisStore):
        wait_until(lambda: is_emptied(now))
        believe(now)
    return now


def believe(now: service.Service) -> None:
    """Wait until both tiers of a service are in use."""
    now.awake()
    wait_until(lambda: now.link.usable and now.local.trusted_until > time.monotonic())
    wait_until(lambda: is_out_of_quarantine(now))


def is_emptied(now: service.Service) -> bool:
    """Empty the store; a busy machine may need more than one try."""
    with suppress(StoreSlow, RedisTimeoutError):
        client, prefix = get_redis_connection(), django_settings.CACHELAYER["PREFIX"]
        for key in client.scan_iter(match=f"{prefix}:*"):
            client.unlink(key)
        now.store.restore(quarantine=False)
        client.unlink(f"{prefix}:t:{ROOT}")  # no quarantine: it was us who emptied it
        return True
    return False


def is_out_of_quarantine(now: service.Service) -> bool:
    """Look whether anything is believed; likewise."""
    with suppress(StoreSlow):
        return not (now.store.read([], [ROOT])[1][0] or b"").startswith(b"!")
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
