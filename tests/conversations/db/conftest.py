"""The fixture of an empty cache, which the tests of cascades share with the cache's own tests."""

from tests.cachelayer.conftest import cached, quick

__all__ = ["cached", "quick"]
