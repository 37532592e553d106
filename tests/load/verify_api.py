"""Compares the responses of the REST API with the state that the oracle expects."""

import asyncio
from collections.abc import Mapping

from tests.load.api_client import ApiClient
from tests.load.http_client import ApiError, ConnectionPool
from tests.load.oracle import ExpectedConversation
from tests.load.report import Report

PAGE_SIZE = 200
CONCURRENT_CONVERSATIONS = 4


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
        next_path = client.path_of(page["next"])
    expected_ids = [message.key_id for message in expected.messages]
    if sorted(key_ids) != sorted(expected_ids):
        report.add("stale in the API", f"{path}messages/ shows {len(key_ids)} of {len(expected_ids)} messages")
    elif key_ids != expected_ids:
        report.add("out of order", f"{path}messages/")
