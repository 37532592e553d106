"""Measures the time from a webhook response until the API shows the chat message, by polling the API.

The probe watches a few instances, and requests their latest chat messages while it waits for a message to appear. A
measured time is never too short, and too long by at most `POLL_SECONDS`. A chat message that Evolution delivers late
may not be among the latest messages, so after `DEEP_AFTER` seconds the probe requests more messages.
"""

import asyncio
import math
from collections.abc import Mapping

from tests.load.http_client import ConnectionPool, api_request
from tests.load.schedule import Post, new_message_id

POLL_SECONDS = 0.25
RECENT_MESSAGES, DEEP_MESSAGES = 20, 200  # `limit` of the two API requests
DEEP_AFTER = 2.0  # seconds after which the probe requests more chat messages
TIMEOUT = 10.0  # seconds to wait for one response of the API


class VisibilityProbe:
    """Measures when the API shows the new chat messages of some instances.

    Args:
        pool: the connections to the REST API.
        requests: the two requests of `message_requests` for each instance, by the instance's name.
        patience: seconds after which the probe stops waiting for a chat message and records an infinite lag.

    Attributes:
        lags: for each watched chat message, the seconds from the webhook response until the API showed the message.
    """

    def __init__(self, pool: ConnectionPool, requests: Mapping[str, tuple[bytes, bytes]], patience: float) -> None:
        self._pool = pool
        self._patience = patience
        self._requests = requests
        self._waiting: dict[str, dict[str, float]] = {name: {} for name in requests}  # message id → time
        self._is_stopped = False
        self._seen: set[str] = set()
        self.lags: list[float] = []

    def accepted(self, post: Post, at: float) -> None:
        """Watch for the chat message of a post, if the post is its first copy and the schedule did not delay it."""
        waiting, key_id = self._waiting.get(post.event.instance.name), new_message_id(post)
        if waiting is not None and key_id and key_id not in self._seen:
            self._seen.add(key_id)
            waiting[key_id] = at

    async def run(self) -> None:
        """Poll the API until `stop` is called and no chat message is watched any more."""
        await asyncio.gather(*(self._watch(name, index) for index, name in enumerate(self._requests)))

    def stop(self) -> None:
        """Let the method `run` return when no chat message is watched any more."""
        self._is_stopped = True

    async def _watch(self, name: str, index: int) -> None:
        await asyncio.sleep(POLL_SECONDS * index / len(self._requests))  # spreads the requests over the interval
        waiting = self._waiting[name]
        while waiting or not self._is_stopped:
            if waiting:
                await self._poll(name, waiting)
            await asyncio.sleep(POLL_SECONDS)

    async def _poll(self, name: str, waiting: dict[str, float]) -> None:
        clock = asyncio.get_running_loop().time
        recent, deep = self._requests[name]
        request = deep if clock() - min(waiting.values()) > DEEP_AFTER else recent
        try:
            body = (await self._pool.send(request, TIMEOUT)).body
        except OSError:
            body = b""
        now = clock()
        for key_id, since in list(waiting.items()):
            # A text search is cheaper than parsing the JSON, and a chat message's id is too long to match by chance.
            if f'"key_id":"{key_id}"'.encode() in body:
                self.lags.append(now - since)
            elif now - since > self._patience:
                self.lags.append(math.inf)
            else:
                continue
            del waiting[key_id]


def message_requests(instance: int, token: str, host: str) -> tuple[bytes, bytes]:
    """Return two API requests for the latest chat messages of an instance: for a few and for many messages."""
    path = f"/api/v1/messages/?instance={instance}&limit="
    return (
        api_request(f"{path}{RECENT_MESSAGES}", token, host),
        api_request(f"{path}{DEEP_MESSAGES}", token, host),
    )
