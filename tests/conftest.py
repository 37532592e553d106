"""Sets Django up for the tests, and changes settings that would make tests slow or let them affect each other."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import isolation, signals

signals.reset_ignored()
isolation.set_up(database="sqlite://:memory:", settings_module="tests.settings")

from django.conf import settings  # noqa: E402 - must follow isolation.set_up
from django.db import connection  # noqa: E402 - must follow isolation.set_up
from django_redis import get_redis_connection  # noqa: E402 - must follow isolation.set_up

from cachelayer.conf import Options  # noqa: E402 - must follow isolation.set_up
from cachelayer.runtime.runtime import runtime  # noqa: E402 - must follow isolation.set_up
from cachelayer.stores import replies  # noqa: E402 - must follow isolation.set_up
from conversations.access.live_tokens import live_tokens  # noqa: E402 - must follow isolation.set_up
from conversations.api.answers import stored  # noqa: E402 - must follow isolation.set_up
from conversations.api.authentication import refusals  # noqa: E402 - must follow isolation.set_up
from conversations.api.rate_limits import buckets  # noqa: E402 - must follow isolation.set_up
from conversations.ingest import metrics  # noqa: E402 - must follow isolation.set_up
from conversations.webhooks.instances import known_names  # noqa: E402 - must follow isolation.set_up
from logs.line_limit import line_limit  # noqa: E402 - must follow isolation.set_up
from tests import empty_tables  # noqa: E402 - must follow isolation.set_up
from tests.database_file import write_database  # noqa: E402, F401 - as above; pytest finds the fixture by name
from tests.effort import EXPLORES_ALL  # noqa: E402 - must follow isolation.set_up
from tests.valkey import ANSWER_WITHIN  # noqa: E402 - must follow isolation.set_up

# This process waits even longer than `tests.settings` says: the cache does not check the time-outs of an open pool.
replies.MAX_SECONDS = ANSWER_WITHIN
if Options.read().is_shared:
    pool = get_redis_connection().connection_pool
    pool.connection_kwargs.update(socket_connect_timeout=ANSWER_WITHIN, socket_timeout=ANSWER_WITHIN)
    pool.disconnect()

# Each pytest-xdist worker needs a different prefix of its cache keys in Redis.
settings.CACHELAYER = {"PREFIX": os.environ["CACHE_PREFIX"]}
# Without Redis the cache is in the memory of this process, which no other process uses.
runtime.use_configured_store(owns_cache=True)

# Every test client loads the middleware of WhiteNoise, which would otherwise scan all static files each time.
settings.WHITENOISE_AUTOREFRESH = True

# Django's default password hasher is slow on purpose, and would slow the tests down.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Django's `flush` after each test that commits would take a third of the time on PostgreSQL.
empty_tables.install()

# In CI, Hypothesis generates the same examples in every run. A test has no deadline, because a machine may be slow.
hypothesis.settings.register_profile("whatsai", deadline=None, derandomize=os.environ.get("CI") == "true")
hypothesis.settings.load_profile("whatsai")


USES_STORE = Path(__file__).parent / "cachelayer"  # tests here may use the store of the cache without a database


@pytest.fixture(autouse=True)
def no_outsiders() -> Iterator[None]:
    """Forget the requests of other tests: a bounded number is checked and logged, and counts name deleted instances."""
    yield
    metrics.reset_after_fork()
    refusals.reset()
    live_tokens.reset()
    stored.reset()
    buckets.reset()
    known_names.reset()
    line_limit.reset()


def pytest_report_header() -> str:
    """Return a header line for pytest that names the database and the cache backend."""
    return f"database: {connection.vendor}, cache: {settings.CACHES['default']['BACKEND']}"


def pytest_xdist_auto_num_workers() -> int | None:
    """Let `-n auto` start one process more than there are cores, because tests wait for other processes."""
    return None if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS") else (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Let the garbage collector skip the imported modules and the collected tests, which live until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that need PostgreSQL on SQLite, and the tests that run once on PostgreSQL."""
    is_deselected = _runs_once if connection.vendor == "postgresql" else _needs_postgresql
    deselected = {item for item in items if is_deselected(item)}
    config.hook.pytest_deselected(items=[item for item in items if item in deselected])
    items[:] = [item for item in items if item not in deselected]


def _needs_postgresql(item: pytest.Item) -> bool:
    return item.get_closest_marker("postgresql") is not None


def _runs_once(item: pytest.Item) -> bool:
    """Whether a test runs on SQLite only: a marker says so, or it can reach neither the database nor the store.

    pytest-django refuses database access to tests without the marker `django_db`.
    """
    if item.get_closest_marker("once") or (item.get_closest_marker("sweep") and not EXPLORES_ALL):
        return True
    reaches_servers = item.get_closest_marker("django_db") or _needs_postgresql(item) or USES_STORE in item.path.parents
    return not reaches_servers
