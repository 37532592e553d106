"""Sends requests to the REST API of the site."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tests.load.http_client import ApiError, ConnectionPool, api_request

TIMEOUT = 30.0  # seconds to wait for one response
# Without this header, a list may be a moment older than a cursor that was taken before.
FRESH = {"Cache-Control": "no-cache"}


@dataclass(frozen=True)
class ApiClient:
    """Sends requests to the REST API of a site; `host` includes the port."""

    pool: ConnectionPool
    token: str
    host: str

    async def get(self, path: str) -> Any:
        """Send a GET request to a path and return the decoded JSON body of the response.

        Raises:
            OSError: the connection failed or timed out.
            ApiError: the status of the response is not 200.
        """
        return json.loads(await self.read(path))

    async def read(self, path: str, timeout: float = TIMEOUT) -> bytes:  # noqa: ASYNC109 - clients take a time-out
        """Send a GET request to a path and return the body of the response; see `get`."""
        response = await self.pool.send(api_request(path, self.token, self.host, FRESH), timeout)
        if response.status != HTTPStatus.OK:
            raise ApiError(path, response.status)
        return response.body

    async def post(self, path: str, content: Any) -> Any:
        """Send a POST request with JSON to a path and return the decoded JSON body of the response; see `get`."""
        body = json.dumps(content).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        request = api_request(path, self.token, self.host, headers, method="POST")
        response = await self.pool.send(request + body, TIMEOUT)
        if response.status != HTTPStatus.CREATED:
            raise ApiError(path, response.status)
        return json.loads(response.body)

    def path_of(self, url: str | None) -> str:
        """Return the path of a link to another page; "" if there is none."""
        return url.partition(self.host)[2] if url else ""
