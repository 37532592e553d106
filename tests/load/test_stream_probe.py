import asyncio
import math
from contextlib import closing, suppress

import pytest

from conversations.demo.events import Event
from tests.load import scenario
from tests.load.api_client import ApiClient
from tests.load.http_client import ConnectionPool
from tests.load.schedule import Post
from tests.load.stream_probe import StreamProbe
from tests.waiting import TIMEOUT

pytestmark = pytest.mark.once

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 2000\n\n"
EVENT = b'id: c1\nevent: changes\ndata: {"cursor":"%b","results":[{"row":{"key_id":"%b"}}]}\n\n'


def message_post(key_id: str, *, is_on_time: bool = True) -> Post:
    data = {"key": {"id": key_id}, "message": {"conversation": "hi"}}
    return Post(0, Event(0, scenario.build_instance(7, 1), "messages.upsert", data), is_on_time)


async def measure(*replies: bytes, patience: float) -> tuple[list[float], list[bytes]]:
    """Measure messages A, B and a delayed one with a server that gives one reply a connection."""
    requests: list[bytes] = []
    script = iter(replies)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError):  # the probe may end before it sends a request
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(next(script, b"HTTP/1.1 503 Busy\r\n\r\n"))

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        probe = StreamProbe(ApiClient(ConnectionPool("127.0.0.1", port, 1), "token", "here"), patience)
        for post in (message_post("A"), message_post("B"), message_post("C", is_on_time=False)):
            probe.sent(post, asyncio.get_running_loop().time())
        following = asyncio.create_task(probe.run())
        lags = await probe.finish()
        following.cancel()
    return lags, requests


def test_each_message_is_measured_until_its_event_arrives_although_the_stream_breaks() -> None:
    lags, requests = asyncio.run(measure(HEAD + EVENT % (b"c1", b"A"), HEAD + EVENT % (b"c2", b"B"), patience=TIMEOUT))
    assert [0 <= lag < math.inf for lag in lags] == [True, True]
    assert b"Last-Event-ID" not in requests[0]
    assert b"Last-Event-ID: c1" in requests[1]


def test_a_message_that_never_arrives_has_an_infinite_lag() -> None:
    lags, _ = asyncio.run(measure(b"HTTP/1.1 503 Busy\r\n\r\n", HEAD + EVENT % (b"c1", b"A"), patience=3.0))
    assert [lag == math.inf for lag in lags] == [False, True]
