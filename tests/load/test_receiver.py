import asyncio
import base64
import datetime as dt
import itertools
import json
from contextlib import suppress
from typing import Any

import pytest

from conversations.demo.rng import Random
from conversations.webhooks_out.signature import headers
from tests.load.api_client import ApiClient
from tests.load.http_client import ApiError, ConnectionPool
from tests.load.receiver import SECRET, Receiver, is_genuine

pytestmark = pytest.mark.once

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
CHANGE = {"resource": "message", "kind": "created", "id": 1, "instance_id": 7, "row": {"id": 1}}
DATA = {"cursor": "c1", "has_more": False, "results": [CHANGE]}
PAGE = json.dumps({"type": "changes", "timestamp": "2026-03-01T00:00:00.000Z", "data": DATA}).encode()


class SiteWithoutRows(ApiClient):
    """Answers as a site without rows does, after one failure."""

    def __init__(self) -> None:
        super().__init__(ConnectionPool("127.0.0.1", 1, 1), "token", "here")
        object.__setattr__(self, "posts", [])

    async def read(self, path: str, timeout: float = 1.0) -> bytes:  # noqa: ASYNC109, ARG002 - the base class has this signature
        return b'{"results": [], "next": null}'

    async def post(self, path: str, content: Any) -> Any:
        self.posts.append(content)  # type: ignore[attr-defined]
        if len(self.posts) == 1:  # type: ignore[attr-defined]
            raise ApiError(path, 503)
        return {"cursor": "c0"}


def signed(body: bytes) -> dict[bytes, bytes]:
    secret = f"whsec_{base64.b64encode(SECRET).decode()}"
    return {name.encode(): value.encode() for name, value in headers(secret, "msg_1", NOW, body).items()}


def test_the_signature_is_that_of_the_site() -> None:
    assert is_genuine(signed(PAGE), PAGE)
    assert not is_genuine(signed(PAGE), PAGE + b" ")
    assert not is_genuine({}, PAGE)


async def deliver(url: str, fields: dict[bytes, bytes], body: bytes) -> int | None:
    """Post a body, and return the status of the answer; None if there is none."""
    port, _, path = url.removeprefix("http://127.0.0.1:").partition("/")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    lines = [b"POST /%b HTTP/1.1" % path.encode(), b"Content-Length: %d" % len(body)]
    lines += [b"%b: %b" % field for field in fields.items()]
    writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
    answer = await reader.read()
    writer.close()
    return int(answer[9:12]) if answer else None


def test_a_receiver_confirms_what_it_has_stored_and_fails_at_most_once_in_a_row() -> None:
    async def run() -> None:
        site = SiteWithoutRows()
        receiver = Receiver(site, 7, Random(1))
        task = asyncio.create_task(receiver.run(0.0))
        while not receiver.copy.cursor:  # noqa: ASYNC110 - the receiver tells nobody
            await asyncio.sleep(0.01)
        first, url = (one["url"] for one in site.posts)  # type: ignore[attr-defined]
        assert await deliver(first, signed(PAGE), PAGE) == 410
        assert await deliver(url, signed(b"{}"), PAGE) == 401
        assert not receiver.copy.rows
        answers = [await deliver(url, signed(PAGE), PAGE) for _ in range(200)]
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert receiver.copy.rows == {("message", 1): (7, '{"id": 1}')}
        assert receiver.copy.cursor == "c1"
        failures = [number for number, answer in enumerate(answers) if answer != 204]
        assert {answers[number] for number in failures} == {503, None}
        assert all(later - number > 1 for number, later in itertools.pairwise(failures))

    asyncio.run(run())
