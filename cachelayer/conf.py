"""The setting `CACHELAYER`, with its defaults."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings

IN_PROCESS = "django.core.cache.backends.locmem.LocMemCache"


@dataclass(frozen=True)
class Options:
    """What can be set.

    Attributes:
        alias: the name in `CACHES` of the server's cache, one of django-redis; without it the cache is in-process.
        prefix: what keys on the server begin with: one for each database, for rows are known by their primary key.
    """

    alias: str = "default"
    prefix: str = "whatsai"

    @classmethod
    def read(cls) -> "Options":
        """Read the settings.

        Raises:
            TypeError: there is an option that is none.
        """
        given: dict[str, Any] = getattr(settings, "CACHELAYER", {})
        return cls(**{name.lower(): value for name, value in given.items()})

    @property
    def is_shared(self) -> bool:
        """Whether there is a server."""
        return "django_redis" in settings.CACHES.get(self.alias, {}).get("BACKEND", "")
