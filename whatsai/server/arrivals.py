"""Connections that were accepted and wait for their turn, so that no address makes others wait.

Setting up a connection costs some thirty times what accepting it costs. So connections are accepted as fast as they
come: the kernel drops those that find its queue full, and their clients try again only after a second or more. Then
each address has its turn, with one connection.
"""

import socket
from collections import deque


class Arrivals:
    """The connections that wait, by the address of their client.

    Args:
        limit: how many may wait; beyond that, the oldest of the address with most of them is closed.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._by_address: dict[str, deque[socket.socket]] = {}  # the next address first

    def __len__(self) -> int:
        """Return the number of connections that wait."""
        return self._count

    def add(self, address: str, connection: socket.socket) -> None:
        """Let a connection wait; close one if there are too many."""
        self._by_address.setdefault(address, deque()).append(connection)
        self._count += 1
        if self._count > self._limit:
            crowded = max(reversed(self._by_address), key=lambda each: len(self._by_address[each]))
            self._by_address[crowded].popleft().close()
            self._removed(crowded)

    def take(self) -> socket.socket:
        """Return the connection whose turn it is, if any waits; then it is the next address' turn."""
        address = next(iter(self._by_address))
        waiting = self._by_address.pop(address)
        self._by_address[address] = waiting
        connection = waiting.popleft()
        self._removed(address)
        return connection

    def _removed(self, address: str) -> None:
        self._count -= 1
        if not self._by_address[address]:
            del self._by_address[address]
