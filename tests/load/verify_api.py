"""Compares the responses of the REST API with the state that the oracle expects."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tests.load.http_client import ConnectionPool, api_request
from tests.load.oracle import ExpectedConversation
from tests.load.report import Report

PAGE_SIZE = 200
TIMEOUT = 30.0  # seconds to wait for one response
CONCURRENT_CONVERSATIONS = 4


class ApiError(Exception):
    """A request to the REST API returned a status other than 200."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"{path} returned {status}")


@dataclass(frozen=True)
class ApiClient:
    """Sends GET requests to the REST API of a site; `host` includes the port."""

    pool: ConnectionPool
    token: str
    host: str

    async def get(self, path: str) -> Any:
        """Send a GET request to a path and return the decoded JSON body of the response.

        Raises:
            OSError: the connection failed or timed out.
            ApiError: the status of the response is not 200.
        """
        response = await self.pool.send(api_request(path, self.token, self.host), TIMEOUT)
        if response.status != HTTPStatus.OK:
            raise ApiError(path, response.status)
        return json.loads(response.body)


async def verify_api(
    host: str, port: int, token: str, conversations: Mapping[int, ExpectedConversation], report: Report
) -> None:
    """Compare the conversations that the oracle expects, by primary key, with the responses of the REST API."""
    pool = ConnectionPool(host, port, CONCURRENT_CONVERSATIONS)
    client = ApiClient(pool, token, f"{host}:{port}")
    limit = asyncio.Semaphore(CONCURRENT_CONVERSATIONS)

    async def verify(pk: int, conversation: ExpectedConversation) -> None:
        async with limit:
            try:
                await _verify_conversation(client, pk, conversation, report)
            except ApiError as error:
                report.add("stale in the API", str(error))

    await asyncio.gather(*(verify(pk, conversation) for pk, conversation in conversations.items()))
    pool.close()


async def _verify_conversation(client: ApiClient, pk: int, expected: ExpectedConversation, report: Report) -> None:
    path = f"/api/v1/conversations/{pk}/"
    actual = await client.get(path)
    report.expect_equal("stale in the API", f"unread of {path}", actual["unread_count"], expected.unread)
    key_ids: list[str] = []
    next_path = f"{path}messages/?limit={PAGE_SIZE}"
    while next_path:
        page = await client.get(next_path)
        key_ids += [row["key_id"] for row in page["results"]]
        next_path = page["next"].partition(client.host)[2] if page["next"] else ""
    expected_ids = [message.key_id for message in expected.messages]
    if sorted(key_ids) != sorted(expected_ids):
        report.add("stale in the API", f"{path}messages/ shows {len(key_ids)} of {len(expected_ids)} messages")
    elif key_ids != expected_ids:
        report.add("out of order", f"{path}messages/")
