import asyncio
import math
from typing import Any

import pytest

from conversations.demo.events import Event
from tests.load import scenario
from tests.load.http_client import ConnectionPool, Response
from tests.load.schedule import Post
from tests.load.visibility_probe import VisibilityProbe, message_requests

pytestmark = pytest.mark.once


CHANNEL = scenario.build_instance(7, 1)
REQUESTS = {CHANNEL.name: message_requests(1, "token", "here")}


class StubPool(ConnectionPool):
    """A connection pool that fails the first request and answers every later request with `body`."""

    def __init__(self, body: bytes) -> None:
        self.requests = 0
        self._body = body

    async def send(self, request: bytes, timeout: float) -> Response:  # noqa: ASYNC109, ARG002 - the base class has this signature
        self.requests += 1
        if self.requests == 1:
            raise ConnectionResetError
        return Response(200, self._body)


def message_post(key_id: str, *, is_on_time: bool = True, **message: Any) -> Post:
    message = message or {"conversation": "hi"}
    data = {"key": {"id": key_id}, "message": message}
    return Post(0, Event(0, CHANNEL, "messages.upsert", data), is_on_time)


def test_the_lag_ends_when_the_api_shows_the_message() -> None:
    async def run() -> None:
        pool = StubPool(b'{"results": [{"id":1,"key_id":"A"}]}')
        probe = VisibilityProbe(pool, REQUESTS, patience=30)
        probe.accepted(message_post("A"), asyncio.get_running_loop().time())
        probe.stop()
        await probe.run()
        assert len(probe.lags) == 1
        assert pool.requests == 2

    asyncio.run(run())


def test_only_the_first_copy_of_a_new_message_on_time_is_watched() -> None:
    async def run() -> None:
        probe = VisibilityProbe(StubPool(b'"key_id":"A"'), REQUESTS, patience=30)
        delayed, reaction = message_post("B", is_on_time=False), message_post("C", reactionMessage={})
        for post in (message_post("A"), message_post("A"), delayed, reaction):
            probe.accepted(post, 0.0)
        probe.stop()
        await probe.run()
        assert len(probe.lags) == 1

    asyncio.run(run())


def test_a_message_that_never_appears_has_an_infinite_lag() -> None:
    async def run() -> None:
        probe = VisibilityProbe(StubPool(b"{}"), REQUESTS, patience=0.01)
        probe.accepted(message_post("A"), asyncio.get_running_loop().time())
        probe.stop()
        await probe.run()
        assert probe.lags == [math.inf]

    asyncio.run(run())
