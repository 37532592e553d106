"""Examines the shared store of the cache."""

from collections.abc import Iterator

from django.db import connection

from cachelayer.ops import server
from cachelayer.ops.server import StoreServer
from cachelayer.stores.base import StoreDown
from conversations.doctor.findings import Finding, judge_clock, ok, problem, warning


def examine() -> Iterator[Finding]:
    """Examine the store on Redis, if there is one."""
    try:
        store = server.read()
    except StoreDown as error:
        yield problem(f"the shared store does not answer, so every read goes to the database: {error}")
        return
    if store is not None:
        yield ok(f"the shared store is {store.name}")
        yield from judge_memory(store)
        yield judge_clock("the shared store", store.ahead)
    elif connection.vendor == "postgresql":
        yield warning("REDIS_URL is empty, so there may be one server process only; more need Redis or Valkey")


def judge_memory(store: StoreServer) -> Iterator[Finding]:
    """Judge how the store uses memory."""
    policy = store.eviction_policy
    if not store.max_bytes:
        yield warning("the shared store has no maxmemory, so it may take all memory of its host")
    if policy.startswith("allkeys"):
        yield problem(
            f"the shared store has maxmemory-policy {policy}, which may drop what the cache needs; use volatile-lru"
        )
    elif policy != "volatile-lru":
        yield warning(f"the shared store has maxmemory-policy {policy}; volatile-lru keeps what is read most")
