"""What a server sends to streams while nothing changes."""

import asyncio

import pytest

from conversations.changes.following import Credentials, Subscription
from conversations.changes.log import Selection
from tests.whatsai.server.test_follower_limits import HISTORY, START, QuietFeed
from whatsai.server import followers
from whatsai.server.followers import HEARTBEAT, Followers

pytestmark = pytest.mark.once

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
IDLE = Subscription(Selection(), START, HISTORY, Credentials(1, None, "s", "*"))


class Client(asyncio.Protocol):
    """Reads from a stream until it has received enough."""

    def __init__(self, enough: bytes) -> None:
        self.enough = enough
        self.received = b""
        self.is_done = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.received += data
        if len(self.received) >= len(self.enough) and not self.is_done.done():
            self.is_done.set_result(None)


def test_an_idle_stream_gets_comments_so_that_nothing_between_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEARTBEAT_SECONDS", "CHECK_SECONDS", "BUSY_SECONDS"):
        monkeypatch.setattr(followers, name, 0.0)

    async def follow() -> bytes:
        loop = asyncio.get_running_loop()
        all_followers = Followers(QuietFeed(), 1)

        class Server(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                all_followers.open_stream(IDLE, transport, HEAD)

        expected = HEAD + HEARTBEAT * 3
        server = await loop.create_server(Server, "127.0.0.1", 0)
        _, client = await loop.create_connection(lambda: Client(expected), *server.sockets[0].getsockname())
        await client.is_done
        all_followers.stop()
        server.close()
        return client.received[: len(expected)]

    assert asyncio.run(follow()) == HEAD + HEARTBEAT * 3


def test_heartbeats_come_more_often_than_common_proxies_close_idle_connections() -> None:
    assert 0 < followers.HEARTBEAT_SECONDS <= 45
