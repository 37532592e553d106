"""Finds caches that decode with pickle what others may have written, because decoding a pickle can run any code.

The cache in the memory of a process is decoded with pickle, too, but nobody else can write to it. A cache in the
database is not reported: whoever can write to the database controls the project anyway.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.memcached import BaseMemcachedCache
from django.core.cache.backends.redis import RedisCache
from django.utils.module_loading import import_string

PROBE = "probe"
PICKLED_PROBE = b"Vprobe\n."  # in the protocol 0 of pickle
WRITABLE_BY_OTHERS = 0o022


def source(config: Mapping[str, Any]) -> str:
    """Return where a cache reads pickles that others may have written; "" if it reads none.

    Args:
        config: an entry of the setting `CACHES`.
    """
    name, options = config.get("BACKEND", ""), config.get("OPTIONS", {})
    try:
        backend = import_string(name)
    except ImportError:
        return ""  # Django reports a backend that does not exist
    if issubclass(backend, BaseMemcachedCache):
        return "Memcached"
    if issubclass(backend, FileBasedCache):
        folder = str(config.get("LOCATION", ""))
        return folder if _may_others_write(Path(folder)) else ""
    if "redis" not in f"{backend.__module__}.{backend.__name__}".lower():
        return ""
    is_of_django = issubclass(backend, RedisCache)  # the other is django-redis; each ignores the option of the other
    serializer = options.get("serializer" if is_of_django else "SERIALIZER")
    if serializer is None:
        return "Redis"  # pickle is the default of both
    arguments = {} if is_of_django else {"options": options}  # with which the backend calls the serializer
    return "Redis" if _decodes_pickle(serializer, arguments) else ""


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
