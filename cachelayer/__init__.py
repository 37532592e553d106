"""A coherent cache for Django models: the names that applications import.

Each public name is imported when it is first used, because settings modules import this package before Django's apps
are ready.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cachelayer import cache as cache
    from cachelayer.answers import Answers as Answers
    from cachelayer.answers import Found as Found
    from cachelayer.orm.base import CachedModel as CachedModel
    from cachelayer.orm.managers import CachedManager as CachedManager
    from cachelayer.orm.managers import FetchManager as FetchManager
    from cachelayer.orm.querysets import CachedQuerySet as CachedQuerySet
    from cachelayer.orm.registration import register as register
    from cachelayer.orm.rules import InvalidationRule as InvalidationRule
    from cachelayer.orm.rules import tags_for as tags_for
    from cachelayer.protocol.tags import Namespace as Namespace
    from cachelayer.read.dependencies import limit_ttl as limit_ttl
    from cachelayer.read.instrumentation import track_reads as track_reads
    from cachelayer.read.page import Page as Page
    from cachelayer.runtime.redis_options import REDIS_OPTIONS as REDIS_OPTIONS
    from cachelayer.runtime.runtime import write_listeners as write_listeners
    from cachelayer.snapshots import Snapshot as Snapshot
    from cachelayer.snapshots import Snapshots as Snapshots

_MODULES = {
    "Answers": "answers",
    "Found": "answers",
    "CachedModel": "orm.base",
    "CachedManager": "orm.managers",
    "FetchManager": "orm.managers",
    "CachedQuerySet": "orm.querysets",
    "register": "orm.registration",
    "InvalidationRule": "orm.rules",
    "tags_for": "orm.rules",
    "Namespace": "protocol.tags",
    "track_reads": "read.instrumentation",
    "Page": "read.page",
    "limit_ttl": "read.dependencies",
    "REDIS_OPTIONS": "runtime.redis_options",
    "write_listeners": "runtime.runtime",
    "Snapshot": "snapshots",
    "Snapshots": "snapshots",
}

__all__ = ["cache", *_MODULES]  # noqa: PLE0604 - all names in __all__ are strings


def __getattr__(name: str) -> Any:
    """Import a public name of this package when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
