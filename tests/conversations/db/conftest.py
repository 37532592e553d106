"""Imports the fixture of an empty cache, which the tests of cascading deletion share with the tests of the cache."""

from tests.cachelayer.conftest import cache_runtime

__all__ = ["cache_runtime"]
