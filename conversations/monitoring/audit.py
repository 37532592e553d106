"""Compares a sample of the cache with the database regularly, and remembers the result for the alarms."""

import time

from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from cachelayer.conf import Options
from cachelayer.ops.audit import Auditor
from cachelayer.runtime.runtime import get_runtime
from cachelayer.stores.base import StoreDown
from conversations.models import CheckResult
from conversations.models.stored_texts import fill
from conversations.monitoring.details import DIFFERS

SAMPLE = 200  # entries
GRACE_SECONDS = 2.0  # after which entries that differ are compared again, because a write may have been under way


def audit() -> None:
    """Compare a sample of entries with the database; do nothing without a shared store, or while it is away.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    runtime = get_runtime()
    if not Options.read().is_shared or not runtime.breaker.is_closed:
        return
    started = time.monotonic()
    auditor = Auditor(runtime, DEFAULT_DB_ALIAS)
    try:
        found = auditor.compare(auditor.sample(SAMPLE)).differences
        if found:
            time.sleep(GRACE_SECONDS)
            found &= auditor.compare(sorted({one.entry for one in found})).differences
    except StoreDown:
        return
    problem = fill(DIFFERS, count=len(found), entries=SAMPLE) if found else ""
    remember("audit", problem, time.monotonic() - started)


def remember(name: str, problem: str, seconds: float) -> None:
    """Store the result of a check; `problem` is "" if all is well."""
    values = {"at": timezone.now(), "is_ok": not problem, "seconds": seconds, "detail": problem[:255]}
    CheckResult.objects.update_or_create(name=name, defaults=values)
