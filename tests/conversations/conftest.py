"""Leaves out, where the database is another one, what only PostgreSQL can show."""

import pytest
from django.db import connection


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if connection.vendor == "postgresql":
        return
    theirs = [item for item in items if item.get_closest_marker("postgresql")]
    config.hook.pytest_deselected(items=theirs)
    items[:] = [item for item in items if item not in theirs]
