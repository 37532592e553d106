"""Sets Django up for the test suite, and changes the settings that would make tests slow or share state."""

import os

import hypothesis
import pytest

from tests import isolation

isolation.set_up(database="sqlite://:memory:")

from django.conf import settings  # noqa: E402 - needs the environment from above
from django.db import connection  # noqa: E402 - as above
from django_redis import get_redis_connection  # noqa: E402 - as above

from cachelayer.conf import Options  # noqa: E402 - as above
from cachelayer.runtime.runtime import runtime  # noqa: E402 - as above

# Longer time-outs, because a server may respond slowly while many tests run in parallel.
if Options.read().is_shared:
    pool = get_redis_connection().connection_pool
    pool.connection_kwargs.update(socket_connect_timeout=5.0, socket_timeout=5.0)
    pool.disconnect()

# A pytest-xdist worker inherits its parent's environment; each worker needs its own key prefix.
settings.CACHELAYER = {"PREFIX": os.environ["CACHE_PREFIX"]}
# Without Redis only one process uses the cache: this one.
runtime.use_configured_store(owns_cache=True)

# Every test client loads the middleware, which would otherwise scan all static files each time.
settings.WHITENOISE_AUTOREFRESH = True

# The default password hasher is slow on purpose.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# The same examples in every CI run, random ones elsewhere. No deadline, because a slow machine is not a failure.
hypothesis.settings.register_profile("whatsai", deadline=None, derandomize=os.environ.get("CI") == "true")
hypothesis.settings.load_profile("whatsai")


def pytest_report_header() -> str:
    """Return the database and the cache backend of the run."""
    return f"database: {connection.vendor}, cache: {settings.CACHES['default']['BACKEND']}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that are marked for another database: `postgresql` on SQLite, `once` on PostgreSQL."""
    marker = "once" if connection.vendor == "postgresql" else "postgresql"
    deselected = [item for item in items if item.get_closest_marker(marker)]
    config.hook.pytest_deselected(items=deselected)
    items[:] = [item for item in items if item not in deselected]
