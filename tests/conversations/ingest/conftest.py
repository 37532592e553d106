"""Fixtures of the ingestion tests."""

import pytest

from conversations.models import Instance


@pytest.fixture
def instance() -> Instance:
    return Instance.objects.create(name="sales")
