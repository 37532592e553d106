"""A receiver of outgoing webhooks, which keeps a copy, and does not confirm all deliveries."""

import asyncio
import base64
import hmac
import json
import re
from http import HTTPStatus

from conversations.demo.rng import Random
from tests.load.api_client import ApiClient
from tests.load.copies import Page, parse_page
from tests.load.followers import PAUSE, Follower
from tests.load.http_client import ApiError

SECRET = b"0123456789abcdef0123456789abcdef"
FAILURES = 0.03  # share of the deliveries that are refused, or answered by the end of the connection
_FIELD = re.compile(rb"\r\n([\w-]+): *([^\r]*)")


class Receiver(Follower):
    """Receives the deliveries of one webhook. Never fails twice in a row, because the site would wait for long."""

    kind = "webhook"

    def __init__(self, api: ApiClient, instance: int | None, rng: Random) -> None:
        super().__init__(api, instance, rng)
        self._busy = asyncio.Lock()  # deliveries wait while rows are loaded
        self._has_failed = False
        self._last = ""  # the time of the last delivery that was applied
        self._path = ""  # of the only webhook that is wanted

    async def run(self, delay: float) -> None:
        """See `Follower.run`."""
        await asyncio.sleep(delay)
        async with await asyncio.start_server(self._connected, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with self._busy:
                while not self.copy.cursor:
                    try:
                        await self.start(Page(await self._subscribe(port), ()))
                    except (OSError, ApiError):
                        self.reconnects += 1
                        await asyncio.sleep(self.rng.uniform(*PAUSE))
            await server.serve_forever()

    async def _subscribe(self, port: int) -> str:
        """Create the webhook, and return the cursor from which on changes are delivered."""
        self._path = f"/{self.reconnects}"  # if an answer was lost, there is a webhook with an earlier path
        body = {
            "url": f"http://127.0.0.1:{port}{self._path}",
            "secret": f"whsec_{base64.b64encode(SECRET).decode()}",
            "instance_ids": [self.instance] if self.instance else [],
        }
        created = await self.api.post("/api/v1/webhooks/", body)
        return str(created["cursor"])

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = {name.lower(): value for name, value in _FIELD.findall(head)}
            body = await reader.readexactly(int(fields[b"content-length"]))
            is_wanted = head.split()[1].decode() == self._path
            if status := await self._receive(fields, body) if is_wanted else HTTPStatus.GONE:
                writer.write(f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Length: 0\r\n\r\n".encode())
        except (OSError, ApiError, asyncio.IncompleteReadError):
            pass  # the process that delivers was killed, or rows could not be loaded
        finally:
            writer.close()

    async def _receive(self, fields: dict[bytes, bytes], body: bytes) -> HTTPStatus | None:
        """Apply a delivery; return the status of the answer, or None for none."""
        if not is_genuine(fields, body):
            return HTTPStatus.UNAUTHORIZED
        self._has_failed = not self._has_failed and self.rng.random() < FAILURES
        if self._has_failed:
            self.reconnects += 1
            return self.rng.choice([HTTPStatus.SERVICE_UNAVAILABLE, None])
        content = json.loads(body)
        async with self._busy:
            if content["timestamp"] >= self._last:  # a request that was given up can arrive after its repetition
                await self.apply(parse_page(json.dumps(content["data"]).encode()))
                self._last = content["timestamp"]
        return HTTPStatus.NO_CONTENT


def is_genuine(fields: dict[bytes, bytes], body: bytes) -> bool:
    """Return whether a delivery is signed as Standard Webhooks says."""
    identity, timestamp = fields.get(b"webhook-id", b""), fields.get(b"webhook-timestamp", b"")
    signed = b"%b.%b.%b" % (identity, timestamp, body)
    expected = b"v1," + base64.b64encode(hmac.digest(SECRET, signed, "sha256"))
    return hmac.compare_digest(fields.get(b"webhook-signature", b""), expected)
