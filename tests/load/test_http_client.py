import asyncio

import pytest

from tests.load.http_client import Answer, Pool
from tests.load.server import HANG_UP, SILENCE, serving

REQUEST = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n{}"


def test_one_connection_is_enough_for_one_request_after_the_other() -> None:
    async def run() -> None:
        async with serving(202, 503) as server:
            pool = Pool("127.0.0.1", server.port, limit=5)
            assert await pool.ask(REQUEST, 5) == Answer(202, b'{"word": "202"}')
            assert (await pool.ask(REQUEST, 5)).status == 503
            assert server.connections == 1
            assert server.requests == [REQUEST, REQUEST]
            pool.close()

    asyncio.run(run())


def test_requests_at_once_have_a_connection_each_up_to_the_limit() -> None:
    async def run() -> None:
        async with serving() as server:
            pool = Pool("127.0.0.1", server.port, limit=3)
            await asyncio.gather(*(pool.ask(REQUEST, 5) for _ in range(20)))
            assert server.connections == 3
            pool.close()

    asyncio.run(run())


def test_a_server_that_hangs_up_is_an_error_and_dialled_again() -> None:
    async def run() -> None:
        async with serving(202, HANG_UP, 202) as server:
            pool = Pool("127.0.0.1", server.port, limit=1)
            await pool.ask(REQUEST, 5)
            with pytest.raises(ConnectionError):
                await pool.ask(REQUEST, 5)
            assert (await pool.ask(REQUEST, 5)).status == 202
            assert server.connections == 2
            pool.close()

    asyncio.run(run())


def test_who_does_not_answer_in_time_is_left() -> None:
    async def run() -> None:
        async with serving(SILENCE, 202) as server:
            pool = Pool("127.0.0.1", server.port, limit=1)
            with pytest.raises(TimeoutError):
                await pool.ask(REQUEST, 0.05)
            assert (await pool.ask(REQUEST, 5)).status == 202
            pool.close()

    asyncio.run(run())


def test_nobody_there_is_an_error() -> None:
    async def run() -> None:
        async with serving() as server:
            port = server.port
        with pytest.raises(OSError, match="onnect"):
            await Pool("127.0.0.1", port, limit=1).ask(REQUEST, 5)

    asyncio.run(run())
