import asyncio
from collections.abc import Sequence

import pytest

from tests.load import requests, scenario
from tests.load.http_client import Pool
from tests.load.load_generator import LoadGenerator, Tally
from tests.load.schedule import Post
from tests.load.server import HANG_UP, Server, serving

pytestmark = pytest.mark.once


CHANNEL = scenario.channel(7, 1)


def posts(*due: float) -> list[Post]:
    return [Post(moment, scenario.state(CHANNEL, number, "open")) for number, moment in enumerate(due)]


async def sent(server: Server, schedule: Sequence[Post]) -> tuple[Tally, list[Post], int]:
    """Send posts; return the tally, those that were taken, and how often the progress stepped."""
    pool = Pool("127.0.0.1", server.port, limit=100)
    taken: list[Post] = []
    steps: list[None] = []
    sender = LoadGenerator(pool, 0.001, lambda post, _at: taken.append(post), lambda: steps.append(None))
    await sender.run(schedule, [requests.post(post.event, "secret", "here") for post in schedule])
    pool.close()
    return sender.tally, taken, len(steps)


def test_what_is_answered_2xx_is_delivered() -> None:
    async def run() -> None:
        async with serving() as server:
            schedule = posts(0, 0.01, 0.02)
            tally, taken, steps = await sent(server, schedule)
        assert (tally.delivered, tally.lost, tally.retries) == ({0, 1, 2}, {}, 0)
        assert (taken, steps) == (schedule, 3)
        assert tally.answers == {"202": 3}
        assert len(tally.latencies) == len(tally.lateness) == 3

    asyncio.run(run())


def test_what_is_refused_for_good_is_lost_at_once() -> None:
    async def run() -> None:
        async with serving(401) as server:
            tally, taken, steps = await sent(server, posts(0))
        assert (tally.delivered, tally.lost, tally.retries) == (set(), {0: "401"}, 0)
        assert (taken, steps) == ([], 1)

    asyncio.run(run())


def test_what_is_refused_for_now_is_sent_again_byte_by_byte() -> None:
    async def run() -> None:
        async with serving(503, HANG_UP, 429, 202) as server:
            tally, taken, _ = await sent(server, posts(0))
        assert (tally.delivered, tally.retries, len(taken)) == ({0}, 3, 1)
        assert tally.answers == {"503": 1, "no answer: ConnectionResetError": 1, "429": 1, "202": 1}
        assert len(set(server.requests)) == 1

    asyncio.run(run())


def test_after_ten_attempts_it_is_given_up() -> None:
    async def run() -> None:
        async with serving(*[500] * 20) as server:
            tally, _, steps = await sent(server, posts(0))
        assert (tally.lost, len(server.requests), steps) == ({0: "500"}, 10, 1)

    asyncio.run(run())


def test_a_slow_answer_holds_nobody_up() -> None:
    async def run() -> None:
        async with serving(*[503] * 5) as server:
            tally, _, _ = await sent(server, posts(*[0.0] * 30))
        assert tally.delivered == set(range(30))
        assert server.connections > 1

    asyncio.run(run())
