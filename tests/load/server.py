"""A server that answers as a test tells it, one word a request."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

HANG_UP, SILENCE = "hang up", "silence"


class Server:
    """Counts what it is asked, and says what comes next in `script`; 202 when that is over."""

    def __init__(self, script: Iterator[int | str]) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._script = script

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(number) for number in re.findall(rb"Content-Length: (\d+)", head))
                self.requests.append(head + await reader.readexactly(length))
                word = next(self._script, 202)
                if word == SILENCE:
                    await asyncio.sleep(3600)
                if word == HANG_UP:
                    break
                body = f'{{"word": "{word}"}}'
                # In two pieces, as a network may cut it.
                writer.write(f"HTTP/1.1 {word} Word\r\nContent-Length: {len(body)}\r\n".encode())
                await writer.drain()
                writer.write(f"\r\n{body}".encode())
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*script: int | str) -> AsyncIterator[Server]:
    server = Server(iter(script))
    listening = await asyncio.start_server(server.talk, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
