"""Lets only one server process keep the cache of a database in its memory, if there is no Redis server.

Without Redis, a second server process would not receive the invalidations of the first one. So one process owns the
cache. The owner is written in the database itself, whatever path or host name leads to it. The owner renews its row
every two seconds, and uses its cache for `OWNED_S` seconds after each renewal. Another process takes the row after it
has seen the row unchanged for longer than that, so the clocks of two machines are never compared.

On SQLite, another process takes the row at once if the owner has ended on the same machine, for example because it was
killed. A PostgreSQL server may still commit the last write of an owner that has ended, so the row says nothing there.

A server process that starts waits up to `MAX_WAIT` seconds for the owner to end, and then refuses to start.
"""

import os
import secrets
from gettext import gettext as _
from time import monotonic, sleep
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.models import F

from cachelayer.models import Outbox, Owner
from cachelayer.runtime import process_identity
from cachelayer.runtime.runtime import CacheRuntime
from logs.contexts import Context

OWNED_S = 10.0  # seconds after a renewal in which the owner uses its cache
RENEW_S = 2.0  # seconds between two renewals
TAKE_OVER_S = 12.0  # seconds without a renewal after which another process takes the ownership
MAX_WAIT = 30.0  # seconds; a server that stops gives its running requests less time to finish
POLL_S = 0.25  # seconds between two looks at the row of another owner
PK = 1  # the primary key of the only row

log = Context.CACHE.logger
Seen = tuple[str, int]  # the token and the number of renewals in the row


class Ownership:
    """The claim of this process on the cache of the database that has the outbox.

    Every method that uses the database may raise `DatabaseError`.
    """

    def __init__(self, runtime: CacheRuntime) -> None:
        """Make a claim without a row; until `acquire` or `renew` has succeeded, the store of the runtime is down."""
        self._runtime = runtime
        self._token = secrets.token_hex(16)
        self._alias = router.db_for_write(Owner)
        is_local = connections[self._alias].vendor == "sqlite"
        self._process = process_identity.identify(os.getpid()) if is_local else ""
        self._renewed_at = 0.0
        self._seen: Seen | None = None  # the row of another owner, and since when it has been unchanged
        self._seen_at = 0.0

    def acquire(self) -> None:
        """Become the owner, and wait for the owner to end if there is one.

        Raises:
            ImproperlyConfigured: another process owns the cache.
        """
        deadline, is_waiting = monotonic() + MAX_WAIT, False
        while not self.renew():
            if monotonic() > deadline:
                text = _("is empty, and another process owns the cache of this database; without Redis, run only one")
                raise ImproperlyConfigured(f"REDIS_URL: {text}")
            if not is_waiting:
                is_waiting = True
                log.warning("Cache WAITS for the process that owns it to end")
            sleep(POLL_S)

    def renew_if_due(self) -> None:
        """Renew the ownership if the last renewal is long ago, or look whether the owner has ended."""
        if monotonic() - self._renewed_at >= RENEW_S:
            self.renew()

    def renew(self) -> bool:
        """Renew the ownership, or try to acquire it; return whether this process is the owner."""
        started = monotonic()
        if self._rows(token=self._token).update(renewals=F("renewals") + 1):
            self._use_cache_until(started + OWNED_S)
        elif self._acquire():
            self._runtime.store.remove("*")  # another process may have owned the cache meanwhile
            self._runtime.evict_matching("*")
            self._use_cache_until(started + OWNED_S)
        else:
            return False
        self._renewed_at = started
        return True

    def release(self) -> None:
        """Let another process own the cache at once."""
        self._rows(token=self._token).delete()

    def _acquire(self) -> bool:
        """Insert the row, or take the row of an owner that has ended or stalled; return whether one succeeded."""
        row = self._rows().values_list("token", "renewals", "process").first()
        mine = {"token": self._token, "renewals": 0, "process": self._process}
        if row is None:
            Owner.objects.using(self._alias).bulk_create([Owner(pk=PK, **mine)], ignore_conflicts=True)
            return bool(self._rows(token=self._token).exists())
        token, renewals, process = row
        if self._is_stalled((token, renewals)) or process_identity.has_ended(process):
            return bool(self._rows(token=token, renewals=renewals).update(**mine))
        return False

    def _is_stalled(self, seen: Seen) -> bool:
        """Return whether this process has seen the same row for longer than an owner uses its cache."""
        if seen != self._seen:
            self._seen, self._seen_at = seen, monotonic()
        return monotonic() - self._seen_at > TAKE_OVER_S

    def _use_cache_until(self, until: float) -> None:
        self._runtime.owned_until = until
        if self._runtime.breaker.is_closed:
            self._runtime.local.set_valid_until(until)

    def _rows(self, **conditions: Any) -> Any:
        return Owner.objects.using(self._alias).filter(pk=PK, **conditions)


def is_private_database() -> bool:
    """Tell whether the database is in the memory of this process, where no other process can use it."""
    database = connections[router.db_for_write(Outbox)].settings_dict
    name = str(database["NAME"])
    return database["ENGINE"].endswith("sqlite3") and (":memory:" in name or "mode=memory" in name)
