"""Finds caches that decode with pickle what others may have written, because decoding a pickle can run any code.

The cache in the memory of a process is decoded with pickle, too, but nobody else can write to it. A cache in the
database is not reported: whoever can write to the database controls the project anyway. Other caches than those of
Django and django-redis are not known here, and are reported as such.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.memcached import BaseMemcachedCache
from django.core.cache.backends.redis import RedisCache
from django.utils.module_loading import import_string

PROBE = "probe"
PICKLED_PROBE = b"Vprobe\n."  # in the protocol 0 of pickle
WRITABLE_BY_OTHERS = 0o022
KNOWN = (LocMemCache, DummyCache, DatabaseCache, FileBasedCache, BaseMemcachedCache, RedisCache)


def backend_of(config: Mapping[str, Any]) -> type | None:
    """Return the class of a cache; None if it does not exist, which Django reports.

    Args:
        config: an entry of the setting `CACHES`.
    """
    try:
        backend: type = import_string(config.get("BACKEND", ""))
    except ImportError:
        return None
    return backend


def is_known(backend: type) -> bool:
    """Return whether a cache is one of Django or django-redis, or derives from one."""
    return issubclass(backend, KNOWN) or _is_django_redis(backend)


def source(backend: type, config: Mapping[str, Any]) -> str:
    """Return where a known cache reads pickles that others may have written; "" if it reads none.

    Args:
        backend: the class of the cache.
        config: its entry of the setting `CACHES`.
    """
    options = config.get("OPTIONS", {})
    if issubclass(backend, BaseMemcachedCache):
        return "Memcached"
    if issubclass(backend, FileBasedCache):
        folder = str(config.get("LOCATION", ""))
        return folder if _may_others_write(Path(folder)) else ""
    is_of_django = issubclass(backend, RedisCache)  # django-redis has another option; each ignores that of the other
    if not is_of_django and not _is_django_redis(backend):
        return ""
    serializer = options.get("serializer" if is_of_django else "SERIALIZER")
    if serializer is None:
        return "Redis"  # pickle is the default of both
    arguments = {} if is_of_django else {"options": options}  # with which the backend calls the serializer
    return "Redis" if _decodes_pickle(serializer, arguments) else ""


def _is_django_redis(backend: type) -> bool:
    return any(base.__module__.partition(".")[0] == "django_redis" for base in backend.__mro__)


def _may_others_write(folder: Path) -> bool:
    """Return whether another user may write to a folder; if it is missing, the cache makes a private one."""
    if not folder.is_dir():
        return False
    found = folder.stat()
    return found.st_uid != os.geteuid() or bool(found.st_mode & WRITABLE_BY_OTHERS)


def _decodes_pickle(serializer: Any, arguments: Mapping[str, Any]) -> bool:
    """Return whether a serializer, its class or its dotted name decodes a pickle, whatever its name says.

    One that cannot be called with these arguments decodes nothing, because the backend cannot call it either.
    """
    made = import_string(serializer) if isinstance(serializer, str) else serializer
    try:
        if callable(made):
            made = made(**arguments)
        return bool(made.loads(PICKLED_PROBE) == PROBE)
    except Exception:  # noqa: BLE001 - each serializer raises another error for what it cannot decode
        return False
