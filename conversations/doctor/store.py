"""Examines the shared store of the cache."""

from collections.abc import Iterator

from django.db import connection
from django.utils.translation import gettext as _

from cachelayer.ops import server
from cachelayer.ops.server import StoreServer
from cachelayer.stores.base import StoreDown
from conversations.doctor.findings import Finding, judge_clock, ok, problem, warning


def examine() -> Iterator[Finding]:
    """Examine the store on Redis, if there is one."""
    try:
        store = server.read()
    except StoreDown as error:
        text = _("the shared store does not answer, so every read goes to the database: %(error)s")
        yield problem(text % {"error": error})
        return
    if store is not None:
        yield ok(_("the shared store is %(name)s") % {"name": store.name})
        yield from judge_memory(store)
        yield judge_clock(_("the shared store"), store.ahead)
    elif connection.vendor == "postgresql":
        yield warning(_("REDIS_URL is empty, so there may be one server process only; more need Redis or Valkey"))


def judge_memory(store: StoreServer) -> Iterator[Finding]:
    """Judge how the store uses memory."""
    policy = store.eviction_policy
    if not store.max_bytes:
        yield warning(_("the shared store has no maxmemory, so it may take all memory of its host"))
    if policy.startswith("allkeys"):
        text = _(
            "the shared store has maxmemory-policy %(policy)s, which may drop what the cache needs; use volatile-lru"
        )
        yield problem(text % {"policy": policy})
    elif policy != "volatile-lru":
        text = _("the shared store has maxmemory-policy %(policy)s; volatile-lru keeps what is read most")
        yield warning(text % {"policy": policy})
