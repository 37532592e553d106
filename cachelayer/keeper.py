"""The threads that keep a process in step with the others: one listens, one mends.

The listener hears what other processes touch. It also asks the server, on the same connection, for an answer to each of
its questions: whatever was announced before a question has arrived by the time of its answer. So the local tier may be
trusted for a second from the moment the last answered question was sent, and for no longer.

The mender keeps the intents of long transactions alive, ends what could not be ended, and after an outage sees to it
that the store is in step with the database before anybody in this process believes it.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, cast

from django.db import DatabaseError, InterfaceError, connections
from redis.exceptions import RedisError

from cachelayer import outbox
from cachelayer.store.base import LOST, StoreDown, StoreFull
from cachelayer.store.redis import RedisStore
from logs.contexts import Context

if TYPE_CHECKING:
    from cachelayer.service import Service

QUESTION_EVERY = 0.2  # seconds
TRUSTED_FOR = 1.0
NAP = 0.002  # after announcements of our own: while we write, hearing ourselves is not to cost as much again
MEND_EVERY = 1.0
RECOVER_EVERY = 0.25
RENEW_AFTER = 8.0  # of the 30 that an intent lives
POLL_OUTBOX_EVERY = 2.0

_LOST = f"\n{LOST}".encode()  # what only the server knows is news to the sender too

log = Context.CACHE.logger


class Keeper:
    """Both threads of one service. They are started by `awake`, in the process that asks, and are daemons."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._store = cast("RedisStore", service.store)
        self._own = f"{service.sender}\n".encode()
        self._stopped = threading.Event()
        self._due = threading.Event()
        self._is_awake = False
        self._lock = threading.Lock()
        self.polls_outbox = False  # only in processes that serve; a command need not

    def awake(self) -> None:
        """Start the threads, once."""
        if self._is_awake:
            return
        with self._lock:
            if self._is_awake:
                return
            self._is_awake = True
            for name, run in (("listener", self._listen), ("mender", self._mend)):
                with suppress(RuntimeError):  # no thread can be started while the interpreter goes down
                    threading.Thread(target=run, name=f"cachelayer-{name}", daemon=True).start()

    def hurry(self) -> None:
        """Mend now: the store may have lost what it held of ours."""
        self._due.set()

    def stop(self) -> None:
        """Let the threads end."""
        self._stopped.set()
        self._due.set()

    # --- the listener -------------------------------------------------------------------------------------------------
    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                self._hear()
            except (RedisError, OSError, StoreDown) as error:
                self._service.local.distrust()
                self._service.counters.count("lost channels")
                log.info("Cache channel lost: %s; the local tier is off", error)
                self._stopped.wait(RECOVER_EVERY)
        self._service.local.distrust()

    def _hear(self) -> None:
        """Listen on one connection until it is lost."""
        service = self._service
        with self._store.subscription() as subscription:
            asked, wrote = 0.0, False
            while not self._stopped.is_set():
                now = monotonic()
                if now - asked >= QUESTION_EVERY:
                    asked = now
                    subscription.ask(repr(now))
                kind, said = subscription.hear(0 if wrote else max(asked + QUESTION_EVERY - monotonic(), 0.001))
                if kind == "message" and said.startswith(self._own) and _LOST not in said:
                    wrote = True
                elif kind:
                    self._take(kind, said)
                elif wrote:
                    wrote = self._stopped.wait(NAP)
                if monotonic() - service.local.heard_at > TRUSTED_FOR and service.local.trusted_until:
                    raise StoreDown("no answer for a second")

    def _take(self, kind: str, said: bytes) -> None:
        service = self._service
        if kind == "message":
            service.heard(said.decode().split("\n")[1:])
        elif kind == "subscribe":
            service.local.distrust()  # what was read before may have been touched unheard
            service.local.heard_at = monotonic()
        elif kind == "pong":
            service.local.heard_at = sent = float(said)
            if service.link.usable:
                service.local.trust(sent + TRUSTED_FOR)

    # --- the mender ---------------------------------------------------------------------------------------------------
    def _mend(self) -> None:
        polled = monotonic()
        while not self._stopped.is_set():
            try:
                hurried = self._due.is_set()
                self._due.clear()
                if not self._service.link.usable:
                    self._recover()
                self._renew(0.0 if hurried else RENEW_AFTER)
                if self.polls_outbox and monotonic() - polled >= POLL_OUTBOX_EVERY:
                    polled = monotonic()
                    self._with_database(lambda: outbox.drain(self._service))
            except (StoreDown, StoreFull) as error:
                self._service.link.open(error)
            except (DatabaseError, InterfaceError) as error:
                log.warning("Cache outbox cannot be read: %s", type(error).__name__)
            self._due.wait(MEND_EVERY if self._service.link.usable else RECOVER_EVERY)

    def _recover(self) -> None:
        """Get in step with the database, then believe the store again.

        Raises:
            StoreDown: it is still away.
            DatabaseError: the outbox cannot be read, so nothing is known to be in step.
        """
        service = self._service
        # Others may be about to commit what they could not announce: nobody believes anything for a moment.
        service.store.restore(quarantine=True)
        self._renew(0.0)
        self._with_database(lambda: outbox.drain(service))
        service.counters.count("recoveries")
        service.link.close()

    def _renew(self, older_than: float) -> None:
        service = self._service
        for write in list(service.live):
            write.renew(older_than)
        while service.unfinished:
            write = service.unfinished[0]
            service.store.end(write.id, list(write.tags))
            service.unfinished.popleft()

    def _with_database(self, act: Callable[[], object]) -> None:
        """Use the database from this thread, and leave no connection behind."""
        try:
            act()
        finally:
            connections.close_all()
