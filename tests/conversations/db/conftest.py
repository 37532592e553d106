"""The fixture of an empty cache, which the tests of cascades share with the cache's own tests."""

from tests.cachelayer.conftest import cache_runtime

__all__ = ["cache_runtime"]
