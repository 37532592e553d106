"""An HTTP server for tests, which replies to each request with the next entry of a list."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

CLOSE, NO_REPLY = "close", "no reply"


class StubServer:
    """Records all requests, and replies with the HTTP statuses in `script`, then with status 202."""

    def __init__(self, script: Iterator[int | str]) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._script = script

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(number) for number in re.findall(rb"Content-Length: (\d+)", head))
                self.requests.append(head + await reader.readexactly(length))
                reply = next(self._script, 202)
                if reply == NO_REPLY:
                    await asyncio.sleep(3600)
                if reply == CLOSE:
                    break
                body = f'{{"status": "{reply}"}}'
                # The response is sent in two parts, because a network may also split a response.
                writer.write(f"HTTP/1.1 {reply} Reason\r\nContent-Length: {len(body)}\r\n".encode())
                await writer.drain()
                writer.write(f"\r\n{body}".encode())
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def stub_server(*script: int | str) -> AsyncIterator[StubServer]:
    server = StubServer(iter(script))
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
