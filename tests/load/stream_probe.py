"""Measures the time from the POST of a webhook until its chat message arrives in an event stream."""

import asyncio
import math
import re
from contextlib import aclosing, suppress

from tests.load.api_client import ApiClient
from tests.load.event_stream import read_events
from tests.load.http_client import ApiError
from tests.load.schedule import Post, new_message_id

RECONNECT_SECONDS = 0.2
POLL_SECONDS = 0.05
_CURSOR = re.compile(rb'"cursor":"([^"]+)"')
_KEY_ID = re.compile(rb'"key_id":"([^"]+)"')


class StreamProbe:
    """Follows the messages of all instances by one stream.

    A text search is cheaper than parsing the JSON. A reply contains the id of the message that it quotes, but that
    message has arrived before.

    Args:
        api: the address of the site and a token.
        patience: seconds to wait at the end; a message that has not arrived then has an infinite lag.
    """

    def __init__(self, api: ApiClient, patience: float) -> None:
        self._api = api
        self._patience = patience
        self._sent: dict[str, float] = {}  # the id of a chat message → when its webhook was posted
        self._arrived: dict[str, float] = {}
        self._cursor = ""
        self._is_open = asyncio.Event()

    def sent(self, post: Post, at: float) -> None:
        """Note when a webhook is posted first, if it has a new chat message that the schedule did not delay."""
        if key_id := new_message_id(post):
            self._sent.setdefault(key_id, at)

    async def run(self) -> None:
        """Follow until this task is cancelled."""
        while True:
            with suppress(OSError, ApiError):
                await self._follow()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def opened(self) -> None:
        """Wait until the stream is open."""
        await self._is_open.wait()

    async def finish(self) -> list[float]:
        """Wait until all messages have arrived; return the seconds that each took."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._patience
        while self._sent.keys() - self._arrived.keys() and clock() < end:  # noqa: ASYNC110 - an event a message is slower
            await asyncio.sleep(POLL_SECONDS)
        return [self._arrived.get(key_id, math.inf) - at for key_id, at in self._sent.items()]

    async def _follow(self) -> None:
        pool = self._api.pool
        path = "/api/v1/events/?resource=message"
        async with aclosing(read_events(pool.host, pool.port, path, self._api.token, self._cursor)) as events:
            async for event in events:
                now = asyncio.get_running_loop().time()
                for key_id in _KEY_ID.findall(event):
                    self._arrived.setdefault(key_id.decode(), now)
                if cursor := _CURSOR.search(event):
                    self._cursor = cursor[1].decode()
                self._is_open.set()
