"""Limits the memory of the responses that wait until their clients have read them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class SendingMemory:
    """Counts the bytes of the responses that are being sent. If there are too many, the oldest responses end.

    A client that reads slowly keeps a response in memory for minutes. Without this limit, one token could fill the
    memory with requests for large pages, and anybody with requests for static files.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._sizes: dict[asyncio.Timeout, int] = {}  # by the time limit of each response, the oldest first

    @asynccontextmanager
    async def limit(self, size: int) -> AsyncIterator[None]:
        """Count a response of `size` bytes while the block sends it.

        Raises:
            TimeoutError: newer responses need the memory.
        """
        async with asyncio.timeout(None) as timeout:
            self._sizes[timeout] = size
            self._total += size
            try:
                self._end_oldest(timeout)
                yield
            finally:
                self._total -= self._sizes.pop(timeout, 0)

    def _end_oldest(self, newest: asyncio.Timeout) -> None:
        for timeout, size in list(self._sizes.items()):
            if self._total <= self._limit or timeout is newest:
                return
            del self._sizes[timeout]
            self._total -= size
            timeout.reschedule(asyncio.get_running_loop().time())
