"""The setting `CACHELAYER` and its defaults. The system checks report what is wrong with it (`checks.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.conf import settings

SHARED = "django_redis"  # part of the path of a backend that shares the cache between processes
IN_PROCESS = ("django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.dummy.DummyCache")


@dataclass(frozen=True)
class Options:
    """The options of the setting.

    Attributes:
        alias: the name in `CACHES` of a django-redis cache; with any other backend the cache is in-process.
        prefix: the first part of every key on the server. Each database needs its own, because keys contain primary
            keys.
    """

    alias: str = "default"
    prefix: str = "whatsai"

    @classmethod
    def read(cls) -> "Options":
        """Read the options from the settings; unknown ones are ignored."""
        names = cls.names()
        return cls(**{name.lower(): value for name, value in raw_options().items() if name in names})

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all options."""
        return [field.name.upper() for field in fields(cls)]

    @property
    def cache(self) -> Mapping[str, Any]:
        """The configuration of the alias in `CACHES`; empty if the alias is not configured."""
        config: Mapping[str, Any] = settings.CACHES.get(self.alias, {})
        return config

    @property
    def is_shared(self) -> bool:
        """Whether the processes share the cache on a server."""
        return SHARED in self.cache.get("BACKEND", "")


def raw_options() -> Mapping[str, Any]:
    """Return the setting as it is. Something other than a mapping is returned as the name of an unknown option."""
    options = getattr(settings, "CACHELAYER", {})
    return options if isinstance(options, Mapping) else {repr(options): None}
