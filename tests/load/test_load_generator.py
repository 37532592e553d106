import asyncio
from collections.abc import Sequence

import pytest

from tests.load import scenario
from tests.load.http_client import ConnectionPool, webhook_request
from tests.load.load_generator import LoadGenerator, Tally
from tests.load.schedule import Post
from tests.load.stub_server import CLOSE, StubServer, stub_server

pytestmark = pytest.mark.once


CHANNEL = scenario.build_instance(7, 1)


def posts(*due: float) -> list[Post]:
    return [Post(seconds, scenario.connection_event(CHANNEL, at, "open")) for at, seconds in enumerate(due)]


async def send(server: StubServer, schedule: Sequence[Post]) -> tuple[Tally, list[Post], int]:
    """Send posts to a server; return the tally, the accepted posts, and the number of finished posts."""
    pool = ConnectionPool("127.0.0.1", server.port, limit=100)
    accepted: list[Post] = []
    finished: list[None] = []
    sent: list[Post] = []
    generator = LoadGenerator(
        pool,
        0.001,
        on_sent=lambda post, _at: sent.append(post),
        on_accepted=lambda post, _at: accepted.append(post),
        on_finished=lambda: finished.append(None),
    )
    await generator.run(schedule, [webhook_request(post.event, "secret", "here") for post in schedule])
    pool.close()
    assert sent == list(schedule)
    return generator.tally, accepted, len(finished)


def test_a_post_with_a_2xx_response_is_delivered() -> None:
    async def run() -> None:
        async with stub_server() as server:
            schedule = posts(0, 0.01, 0.02)
            tally, accepted, finished = await send(server, schedule)
        assert (tally.delivered, tally.lost, tally.retries) == ({0, 1, 2}, {}, 0)
        assert (accepted, finished) == (schedule, 3)
        assert tally.answers == {"202": 3}
        assert len(tally.latencies) == len(tally.lateness) == 3

    asyncio.run(run())


def test_a_permanently_rejected_post_is_lost_without_a_retry() -> None:
    async def run() -> None:
        async with stub_server(401) as server:
            tally, accepted, finished = await send(server, posts(0))
        assert (tally.delivered, tally.lost, tally.retries) == (set(), {0: "401"}, 0)
        assert (accepted, finished) == ([], 1)

    asyncio.run(run())


def test_a_temporarily_rejected_post_is_retried_with_identical_bytes() -> None:
    async def run() -> None:
        async with stub_server(503, CLOSE, 429, 202) as server:
            tally, accepted, _ = await send(server, posts(0))
        assert (tally.delivered, tally.retries, len(accepted)) == ({0}, 3, 1)
        assert tally.answers == {"503": 1, "no answer: ConnectionResetError": 1, "429": 1, "202": 1}
        assert len(set(server.requests)) == 1

    asyncio.run(run())


def test_a_post_is_given_up_after_ten_attempts() -> None:
    async def run() -> None:
        async with stub_server(*[500] * 20) as server:
            tally, _, finished = await send(server, posts(0))
        assert (tally.lost, len(server.requests), finished) == ({0: "500"}, 10, 1)

    asyncio.run(run())


def test_a_retried_post_does_not_delay_the_others() -> None:
    async def run() -> None:
        async with stub_server(*[503] * 5) as server:
            tally, _, _ = await send(server, posts(*[0.0] * 30))
        assert tally.delivered == set(range(30))
        assert server.connections > 1

    asyncio.run(run())
