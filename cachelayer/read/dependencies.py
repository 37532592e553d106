"""Collects the tags, and their versions, of all cached reads that compute one value, such as an answer of the API.

The value is valid while all these tags still have these versions. A value that depends on anything else must not be
stored: so a collection is incomplete if a read bypassed the cache, if two reads saw different versions of a tag, or if
the computation sent a query to the database outside of the loader of a cached read.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connections

from cachelayer.protocol.answers import MAX_TAGS
from cachelayer.protocol.entries import VERSION_SIZE


class Dependencies:
    """What a value depends on.

    Attributes:
        versions: the version of each tag.
        expires_at: when the first of the read entries expires, in seconds since 1970.
        is_complete: whether the value depends on nothing else.
    """

    def __init__(self) -> None:
        self.versions: dict[str, bytes] = {}
        self.expires_at = math.inf
        self.is_complete = True
        self._loads = 0  # how many loaders of cached reads are running

    def add(self, tags: Sequence[str], versions: bytes, expires_at: float) -> None:
        """Add the tags of an entry that was read or stored, and their joined versions."""
        for number, tag in enumerate(tags):
            version = versions[number * VERSION_SIZE : (number + 1) * VERSION_SIZE]
            if self.versions.setdefault(tag, version) != version:
                self.is_complete = False
        self.expires_at = min(self.expires_at, expires_at)
        if len(self.versions) > MAX_TAGS:
            self.is_complete = False

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Permit queries to the database inside the block."""
        self._loads += 1
        try:
            yield
        finally:
            self._loads -= 1

    def on_query(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        """Run a query (a wrapper for `connection.execute_wrapper`)."""
        if not self._loads:
            self.is_complete = False
        return execute(*arguments)


_current: ContextVar[Dependencies | None] = ContextVar("cachelayer_dependencies", default=None)


@contextmanager
def collecting() -> Iterator[Dependencies]:
    """Collect the dependencies of what this thread reads inside the block."""
    dependencies = Dependencies()
    with ExitStack() as stack:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(dependencies.on_query))
        before = _current.set(dependencies)
        try:
            yield dependencies
        finally:
            _current.reset(before)


def add(tags: Sequence[str], versions: bytes, expires_at: float) -> None:
    """Add the tags of an entry to the dependencies of the value that this thread computes, if any."""
    dependencies = _current.get()
    if dependencies is not None:
        dependencies.add(tags, versions, expires_at)


def limit_ttl(seconds: float) -> None:
    """Let the answer that is computed now expire after some seconds, because it depends on the time."""
    add((), b"", time.time() + seconds)


def give_up() -> None:
    """Tell that what is computed now depends on something that has no versions, so that it is not stored."""
    dependencies = _current.get()
    if dependencies is not None:
        dependencies.is_complete = False


@contextmanager
def loading() -> Iterator[None]:
    """Permit queries inside the block, because the caller adds the tags of what they return."""
    dependencies = _current.get()
    if dependencies is None:
        yield
        return
    with dependencies.loading():
        yield
