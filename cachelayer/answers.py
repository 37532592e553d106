"""Caches answers: computed values, such as the bodies of HTTP responses, with the tags of all reads that compute them.

`Answers.collecting` collects these tags. The answer is stored with them, so a lookup needs to know only the answer's
name. A lookup validates the answer in the store, in one round trip; an answer is never used without that. A process
keeps the contents that it has read, and the store does not send them again.
"""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from cachelayer.protocol import answers
from cachelayer.protocol.codec import DecodeError
from cachelayer.protocol.entries import FORMAT, is_version
from cachelayer.protocol.memo import Memo
from cachelayer.protocol.tags import Namespace
from cachelayer.read import dependencies
from cachelayer.read.dependencies import Dependencies
from cachelayer.read.entry_store import JITTER
from cachelayer.read.store_access import on_store_error, read_store
from cachelayer.runtime.metrics import SharedCounts
from cachelayer.runtime.runtime import runtime
from cachelayer.stores.base import StoreDown, StoreFull
from logs.contexts import Context

MIN_TTL = 1.0  # seconds; an answer that expires earlier is not stored
MAX_KEPT_BYTES = 2**20  # bytes that all contents which a process keeps may have
MAX_KEPT_ITEMS = 1024
MAX_KEPT_LENGTH = 2**16  # bytes; a longer content is not kept

log = Context.CACHE.logger


class Answer(NamedTuple):
    """A valid answer.

    Attributes:
        etag: a hash of the content.
        notes: bytes of the caller that were stored together with the content.
        content: the content; None if the caller has a content with this ETag.
    """

    etag: str
    notes: bytes
    content: bytes | None


class Found(NamedTuple):
    """The result of a lookup.

    Attributes:
        answer: the valid answer, if there is one.
        states: the states of the further tags; [] if the store must not be used now.
        version: the version of the namespace of the answers; None if the store must not be used now.
    """

    answer: Answer | None = None
    states: Sequence[bytes | None] = ()
    version: bytes | None = None


class Answers:
    """The answers of one namespace.

    Args:
        namespace: the namespace; the names of its answers begin with its name.
        fingerprint: names the code that computes the answers, because other code may compute other answers.
    """

    def __init__(self, namespace: Namespace, fingerprint: str) -> None:
        self._namespace = namespace
        self._fingerprint = f"{FORMAT}{fingerprint}"
        # What was last read under each name: the ETag, which is a hash of the content, and the content.
        self._kept: Memo[str, tuple[str, bytes]] = Memo(MAX_KEPT_BYTES, MAX_KEPT_ITEMS)

    @property
    def _counts(self) -> SharedCounts:
        return runtime.counters.shared(self._namespace)

    def look_up(self, key: str, etags: str = "", tags: Sequence[str] = ()) -> Found:
        """Return the answer of a key, if it is valid, and the states of further tags, in one round trip.

        Args:
            key: the part of the answer's name after the name of the namespace.
            etags: ETags of contents that the caller has already, in one string.
            tags: the further tags.
        """
        name, tags = self._name(key), (self._namespace.name, *tags)
        kept_etag, kept = self._kept.get(name, ("", None))
        known = f"{etags} {kept_etag}"
        read = read_store(runtime, self._counts, lambda: runtime.store.read_answer(name, known, tags))
        if read is None:
            return Found()
        head, content, (version, *states) = read
        answer = None if head is None else self._unpack(name, head, content)
        if content is None and answer is not None and answer.etag == kept_etag and kept_etag not in etags:
            answer = answer._replace(content=kept)
        return Found(answer, states, version)

    def _unpack(self, name: str, head: bytes, content: bytes | None) -> Answer | None:
        try:
            _, etag, notes, _ = answers.unpack_head(head)
        except DecodeError:
            log.exception("Cache answer cannot be read")
            self._counts.errors += 1
            return None
        if content is not None:
            if not answers.is_content_of(etag, content):
                runtime.counters.count("rejected entries")
                return None
            if len(content) <= MAX_KEPT_LENGTH:
                self._kept.keep(name, (etag, content), len(content))
        return Answer(etag, notes, content)

    def count_hit(self) -> None:
        """Count an answer that was found and used."""
        self._counts.hits += 1

    @contextmanager
    def collecting(self, found: Found) -> Iterator[Dependencies]:
        """Collect the dependencies of an answer that is computed inside the block, which skips the local cache.

        Args:
            found: the lookup that has not found the answer.
        """
        with runtime.local.loading(), dependencies.collecting() as collected:
            if found.version is None or not is_version(found.version):
                collected.is_complete = False
            else:
                collected.add((self._namespace.name,), found.version, time.time() + self._namespace.ttl)
            yield collected
        if collected.is_complete:
            self._counts.misses += 1
        else:
            self._counts.bypasses += 1

    def store(self, key: str, content: bytes, notes: bytes, collected: Dependencies) -> None:
        """Store an answer that was computed inside of `collecting`, unless it depends on more than the collected tags.

        Args:
            key: the key with which `look_up` finds the answer.
            content: the answer.
            notes: bytes to store beside the content.
            collected: the rows and lists that the answer depends on.
        """
        ttl = (collected.expires_at - time.time()) * random.uniform(1 - JITTER, 1)  # noqa: S311 - not used for security
        if not collected.is_complete or ttl < MIN_TTL:
            return
        name, expires_at = self._name(key), int(time.time() + ttl)
        head = answers.pack_head(name, collected.versions, answers.etag_of(content), notes, expires_at)
        try:
            runtime.store.fill_answer(name, head, content, int(ttl * 1000))
        except (StoreDown, StoreFull) as error:
            on_store_error(runtime, self._counts, error)
        else:
            self._counts.fills += 1

    def _name(self, key: str) -> str:
        return f"{self._namespace.name}:{key}@{self._fingerprint}"
