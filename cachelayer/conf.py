"""The Django setting `CACHELAYER` and its defaults. `checks.py` reports wrong values of the setting."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

SHARED = "django_redis"  # a cache backend whose path contains this word shares the cache between processes
SEAL_PURPOSE = "cachelayer.protocol.seal"  # the salt of the keys that authenticate entries; no other keys use it
IN_PROCESS = ("django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.dummy.DummyCache")


@dataclass(frozen=True)
class Options:
    """The options of the Django setting `CACHELAYER`.

    Attributes:
        alias: the name of an entry of `CACHES`. If the backend of this entry is not django-redis, the cache is kept in
            the memory of one process.
        prefix: the first part of every key on the Redis server. Each database needs a prefix of its own, because the
            Redis keys contain primary keys.
        local_mb: how many MB of memory the local cache of a process may take. Without Redis, the entries in encoded
            form may take as much again.
    """

    alias: str = "default"
    prefix: str = "whatsai"
    local_mb: float = 64

    @classmethod
    def read(cls) -> "Options":
        """Read the options from the Django settings, and ignore unknown options."""
        names = cls.names()
        return cls(**{name.lower(): value for name, value in raw_options().items() if name in names})

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all options of the setting, in upper case."""
        return [field.name.upper() for field in fields(cls)]

    @property
    def local_bytes(self) -> float:
        """The memory in bytes that the local cache of a process may take."""
        return float(self.local_mb) * 2**20

    @property
    def cache(self) -> Mapping[str, Any]:
        """The entry of `CACHES` that `alias` names; empty if `CACHES` has no such entry."""
        config: Mapping[str, Any] = settings.CACHES.get(self.alias, {})
        return config

    def seal_keys(self) -> list[bytes]:
        """Return the keys that authenticate entries in Redis, derived from SECRET_KEY and SECRET_KEY_FALLBACKS."""
        secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        return [salted_hmac(SEAL_PURPOSE, self.prefix, secret, algorithm="sha256").digest() for secret in secrets]

    @property
    def is_shared(self) -> bool:
        """Whether all processes share the cache on a Redis server."""
        return SHARED in self.cache.get("BACKEND", "")


def raw_options() -> Mapping[str, Any]:
    """Return the setting `CACHELAYER`, or, if the setting is not a mapping, a mapping with one unknown option."""
    options = getattr(settings, "CACHELAYER", {})
    return options if isinstance(options, Mapping) else {repr(options): None}
