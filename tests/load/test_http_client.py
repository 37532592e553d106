import asyncio
import json

import pytest

from conversations.demo import demo_clock
from conversations.demo.events import Event
from tests.load import scenario
from tests.load.http_client import ConnectionPool, Response, webhook_request
from tests.load.stub_server import CLOSE, NO_REPLY, stub_server
from tests.waiting import TIMEOUT

REQUEST = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n{}"


def test_a_webhook_request_has_the_headers_that_axios_sends() -> None:
    channel = scenario.build_instance(7, 1)
    event = Event(demo_clock.END, channel, "chats.update", [{"remoteJid": "5511900000001@s.whatsapp.net"}])
    head, _, body = webhook_request(event, "secret", "127.0.0.1:8000").partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /webhooks/evolution/load-01 HTTP/1.1"
    assert {f"Content-Length: {len(body)}", "Authorization: Bearer secret", "Host: 127.0.0.1:8000"} <= set(lines)
    assert json.loads(body) == event.body


def test_sequential_requests_share_one_connection() -> None:
    async def run() -> None:
        async with stub_server(202, 503) as server:
            pool = ConnectionPool("127.0.0.1", server.port, limit=5)
            assert await pool.send(REQUEST, TIMEOUT) == Response(202, b'{"status": "202"}')
            assert (await pool.send(REQUEST, TIMEOUT)).status == 503
            assert server.connections == 1
            assert server.requests == [REQUEST, REQUEST]
            pool.close()

    asyncio.run(run())


def test_concurrent_requests_open_connections_up_to_the_limit() -> None:
    async def run() -> None:
        async with stub_server() as server:
            pool = ConnectionPool("127.0.0.1", server.port, limit=3)
            await asyncio.gather(*(pool.send(REQUEST, TIMEOUT) for _ in range(20)))
            assert server.connections == 3
            pool.close()

    asyncio.run(run())


def test_a_connection_closed_by_the_server_is_an_error_and_the_next_request_opens_a_new_one() -> None:
    async def run() -> None:
        async with stub_server(202, CLOSE, 202) as server:
            pool = ConnectionPool("127.0.0.1", server.port, limit=1)
            await pool.send(REQUEST, TIMEOUT)
            with pytest.raises(ConnectionError):
                await pool.send(REQUEST, TIMEOUT)
            assert (await pool.send(REQUEST, TIMEOUT)).status == 202
            assert server.connections == 2
            pool.close()

    asyncio.run(run())


def test_a_request_without_a_response_times_out() -> None:
    async def run() -> None:
        async with stub_server(202, NO_REPLY, 202) as server:
            pool = ConnectionPool("127.0.0.1", server.port, limit=1)
            await pool.send(REQUEST, TIMEOUT)  # opens the connection, which may take longer than the next time-out
            with pytest.raises(TimeoutError):
                await pool.send(REQUEST, 0.05)
            assert (await pool.send(REQUEST, TIMEOUT)).status == 202
            pool.close()

    asyncio.run(run())


def test_a_refused_connection_is_an_error() -> None:
    async def run() -> None:
        async with stub_server() as server:
            port = server.port
        with pytest.raises(OSError, match="onnect"):
            await ConnectionPool("127.0.0.1", port, limit=1).send(REQUEST, TIMEOUT)

    asyncio.run(run())
