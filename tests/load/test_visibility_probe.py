import asyncio
import math
from typing import Any

import pytest

from conversations.demo.events import Event
from tests.load import scenario
from tests.load.http_client import Answer, Pool
from tests.load.schedule import Post
from tests.load.visibility_probe import VisibilityProbe, latest

pytestmark = pytest.mark.once


CHANNEL = scenario.channel(7, 1)


class Api(Pool):
    """Shows nothing the first time, then everything."""

    def __init__(self, shown: bytes) -> None:
        self.asked = 0
        self._shown = shown

    async def ask(self, request: bytes, timeout: float) -> Answer:  # noqa: ASYNC109, ARG002 - as its base
        self.asked += 1
        if self.asked == 1:
            raise ConnectionResetError
        return Answer(200, self._shown)


def taken(key_id: str, *, is_prompt: bool = True, **message: Any) -> Post:
    message = message or {"conversation": "hi"}
    data = {"key": {"id": key_id}, "message": message}
    return Post(0, Event(0, CHANNEL, "messages.upsert", data), is_prompt)


def test_the_lag_ends_when_the_api_shows_the_message() -> None:
    async def run() -> None:
        api = Api(b'{"results": [{"id":1,"key_id":"A"}]}')
        watch = VisibilityProbe(api, {CHANNEL.name: latest(1, "token", "here")}, patience=30)
        watch.accepted(taken("A"), asyncio.get_running_loop().time())
        watch.stop()
        await watch.run()
        assert len(watch.lags) == 1
        assert api.asked == 2

    asyncio.run(run())


def test_only_the_first_copy_of_a_new_message_that_was_not_held_back_is_watched() -> None:
    async def run() -> None:
        api = Api(b'"key_id":"A"')
        watch = VisibilityProbe(api, {CHANNEL.name: latest(1, "token", "here")}, patience=30)
        for post in (taken("A"), taken("A"), taken("B", is_prompt=False), taken("C", reactionMessage={})):
            watch.accepted(post, 0.0)
        watch.stop()
        await watch.run()
        assert len(watch.lags) == 1

    asyncio.run(run())


def test_what_is_never_shown_is_not_waited_for_for_ever() -> None:
    async def run() -> None:
        watch = VisibilityProbe(Api(b"{}"), {CHANNEL.name: latest(1, "token", "here")}, patience=0.01)
        watch.accepted(taken("A"), asyncio.get_running_loop().time())
        watch.stop()
        await watch.run()
        assert watch.lags == [math.inf]

    asyncio.run(run())
