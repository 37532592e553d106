"""A connection holds little of what its client sends before the response, and of what its client does not read.

A connection whose client is gone holds nothing.
"""

import asyncio
import os
import socket
import struct
import tracemalloc
from contextlib import closing
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger

from whatsai.server.connection import READ_BYTES, Connection
from whatsai.server.worker import Worker

ROUNDS = 100  # of the event loop, without a step of the application: it waits for its client
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PIPELINED = REQUEST * 40_000  # 1.5 MB
CHUNK = bytes(16 * 1024)


def a_worker(application: Any) -> Worker:
    """Return a worker of the running event loop, which accepts no connections."""
    config = Config()
    worker = Worker(0, os.getpid(), [], None, 30, config, Logger(config))
    worker.loop, worker.asgi, worker.nr, worker.max_requests = asyncio.get_running_loop(), application, 0, 1_000_000
    return worker


async def held_bytes(application: Any, steps: list[int], data: bytes) -> int:
    """Return the memory that a connection takes whose client sends `data`, and reads nothing.

    Args:
        application: an ASGI application, which appends to `steps`.
        steps: grows until the application waits for its client.
        data: what the client sends.
    """
    loop = asyncio.get_running_loop()
    worker = a_worker(application)
    connection = Connection(worker)
    server = await loop.create_server(lambda: connection, "127.0.0.1", 0)
    with closing(worker.tmp), closing(socket.create_connection(server.sockets[0].getsockname())) as client:
        client.settimeout(0)
        tracemalloc.start()
        try:
            sending = asyncio.create_task(loop.sock_sendall(client, data))
            seen = -1
            while not steps or len(steps) != seen:
                seen = len(steps)
                for _ in range(ROUNDS):
                    await asyncio.sleep(0)
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
            sending.cancel()
            connection.transport.abort()
            server.close()
            await asyncio.sleep(0)


@pytest.mark.parametrize("answered", [0, 20])
def test_requests_behind_one_that_is_not_answered_are_not_read(answered: int) -> None:
    """Each response let the connection read 256 KiB more, behind a large response that the client did not read."""

    async def run() -> int:
        steps: list[int] = []

        async def application(_scope: Any, receive: Any, send: Any) -> None:
            await receive()
            steps.append(1)
            if len(steps) > answered:
                await asyncio.Event().wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        return await held_bytes(application, steps, PIPELINED)

    assert asyncio.run(run()) < 4 * READ_BYTES


def test_a_response_waits_until_the_kernel_has_taken_its_last_chunk() -> None:
    async def run() -> int:
        steps: list[int] = []

        async def application(_scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                steps.append(1)
                await send({"type": "http.response.body", "body": CHUNK, "more_body": True})

        return await held_bytes(application, steps, REQUEST)

    assert asyncio.run(run()) < 4 * len(CHUNK)


def test_a_connection_that_its_client_has_reset_is_closed_at_once() -> None:
    """It was held for `CLOSE_SECONDS`, and a server that stopped waited for it."""

    async def run() -> int:
        worker = a_worker(None)
        connection = Connection(worker)
        server = await asyncio.get_running_loop().create_server(lambda: connection, "127.0.0.1", 0)
        with closing(worker.tmp), closing(server):
            client = socket.create_connection(server.sockets[0].getsockname())
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
            assert worker.nr_conns == 1
            connection.transport.pause_reading()  # as after the end of what a client sends: a reset is not noticed
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            connection.close()
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
            left = int(worker.nr_conns)
            connection.transport.abort()
            await asyncio.sleep(0)
            return left

    assert asyncio.run(run()) == 0
