"""The suite's settings: Django set up apart from the developer's environment, and what makes tests quick."""

import os

import hypothesis
import pytest

from tests import isolation

isolation.set_up(database="sqlite://:memory:")

from django.conf import settings  # noqa: E402 - there are settings from here on
from django.db import connection  # noqa: E402
from django_redis import get_redis_connection  # noqa: E402

from cachelayer.conf import Options  # noqa: E402 - as above
from cachelayer.runtime.runtime import runtime  # noqa: E402 - as above

# A machine that runs every test there is may be late: that is not to be taken for a server that hangs.
if Options.read().is_shared:
    pool = get_redis_connection().connection_pool  # which the first service has made by now
    pool.connection_kwargs.update(socket_connect_timeout=5.0, socket_timeout=5.0)
    pool.disconnect()

# A worker of pytest-xdist has the settings of the environment that it was started in: they are not to share keys.
settings.CACHELAYER = {"PREFIX": os.environ["CACHE_PREFIX"]}
# Without Redis one process has the cache; here it is this one, and not a guest of a server.
runtime.use_configured_store(owns_cache=True)

# Each client loads all middleware anew: it need not look at every static file there is.
settings.WHITENOISE_AUTOREFRESH = True

# Hashing a password slowly on purpose is of no use here.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# The same examples at each run in CI, new ones elsewhere. No deadline: a slow machine is not a failure.
hypothesis.settings.register_profile("whatsai", deadline=None, derandomize=os.environ.get("CI") == "true")
hypothesis.settings.load_profile("whatsai")


def pytest_report_header() -> str:
    """Say on which stores the suite runs."""
    return f"database: {connection.vendor}, cache: {settings.CACHES['default']['BACKEND']}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, where the database is another one, what only PostgreSQL can show; and there, what was shown here."""
    left_out = "once" if connection.vendor == "postgresql" else "postgresql"
    theirs = [item for item in items if item.get_closest_marker(left_out)]
    config.hook.pytest_deselected(items=theirs)
    items[:] = [item for item in items if item not in theirs]
