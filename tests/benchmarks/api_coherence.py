"""Clients that write a row through the API and read it again, each over connections to several server processes."""

import itertools
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from tests.benchmarks.api_client import Connection, request

CONNECTIONS = 8  # of each client; the server spreads them over its processes


@dataclass
class Result:
    """The pairs of a write and a read.

    Attributes:
        pairs: how many there were.
        stale: the requests, with their headers, whose answers did not show the write before them.
        statuses: how many answers had each `Cache-Status`.
    """

    pairs: int = 0
    stale: list[str] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, read: str, cache_status: str, *, is_stale: bool) -> None:
        """Add one pair."""
        with self._lock:
            self.pairs += 1
            self.statuses[cache_status] = self.statuses.get(cache_status, 0) + 1
            if is_stale:
                self.stale.append(read)


def write_and_read(port: int, token: str, rows: Sequence[tuple[int, int]], pairs: int) -> Result:
    """Let one client for each row write and read it, until there are `pairs` pairs; return the result.

    Args:
        port: the port of the server.
        token: the API token of all clients.
        rows: for each client, the primary keys of a conversation and of its instance.
        pairs: how many pairs of a write and a read there are in all.
    """
    result, errors = Result(), []

    def run(row: tuple[int, int]) -> None:
        try:
            _run_client(port, token, row, pairs // len(rows), result)
        except Exception as error:  # noqa: BLE001 - the error is raised in the thread that waits
            errors.append(error)

    threads = [threading.Thread(target=partial(run, row)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return result


def _run_client(port: int, token: str, row: tuple[int, int], pairs: int, result: Result) -> None:
    """Pin and unpin a conversation in turn, and read it, or the list with it, over another connection."""
    pk, instance = row
    connections = [Connection(port) for _ in range(CONNECTIONS)]
    writers, readers = itertools.cycle(connections), itertools.cycle(reversed(connections))
    reads = itertools.product((f"conversations/{pk}/", f"conversations/?instance={instance}&limit=5"), ("", "no-cache"))
    for number, (path, cache_control) in zip(range(pairs), itertools.cycle(list(reads)), strict=False):
        is_pinned = number % 2 == 0
        next(writers).ask(request("POST", f"/api/v1/conversations/{pk}/{'pin' if is_pinned else 'unpin'}/", token))
        if number % 3 == 0:
            next(readers)
        response = next(readers).ask(request("GET", f"/api/v1/{path}", token, Cache_Control=cache_control))
        answer = json.loads(response.content)
        found = next(one for one in answer.get("results", [answer]) if one["id"] == pk)
        is_stale = found["is_pinned"] is not is_pinned
        result.add(f"GET {path} {cache_control}".rstrip(), response.header("Cache-Status"), is_stale=is_stale)
    for connection in connections:
        connection.socket.close()
