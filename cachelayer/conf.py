"""The setting `CACHELAYER`, with its defaults. What is wrong in it is said by the system checks (`checks.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.conf import settings

SHARED = "django_redis"  # a part of the backend's path
IN_PROCESS = ("django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.dummy.DummyCache")


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
        """Read the settings, and leave out what is no option."""
        names = cls.names()
        return cls(**{name.lower(): value for name, value in raw_options().items() if name in names})

    @classmethod
    def names(cls) -> list[str]:
        """Return the options there are."""
        return [field.name.upper() for field in fields(cls)]

    @property
    def cache(self) -> Mapping[str, Any]:
        """What `CACHES` says of the alias."""
        found: Mapping[str, Any] = settings.CACHES.get(self.alias, {})
        return found

    @property
    def is_shared(self) -> bool:
        """Whether there is a server."""
        return SHARED in self.cache.get("BACKEND", "")


def raw_options() -> Mapping[str, Any]:
    """Return what is set, even if it is nonsense."""
    found = getattr(settings, "CACHELAYER", {})
    return found if isinstance(found, Mapping) else {repr(found): None}
