"""Reads an event stream of the site, event by event (WHATWG HTML, section 9.2.6)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from tests.load.http_client import ApiError, api_request

MAX_EVENT_BYTES = 64 * 1024 * 1024
_DATA = b"data: "
_STATUS = slice(9, 12)  # the position of the status code in `HTTP/1.1 200 OK`


async def read_events(host: str, port: int, path: str, token: str, last_id: str = "") -> AsyncGenerator[bytes, None]:
    """Open a stream, and yield the data of its events until it ends.

    Args:
        host, port: the site's address.
        path: the path of the stream, with its query.
        token: a token of the API.
        last_id: the id of the last event that the client has; "" begins where the query says.

    Raises:
        ApiError: the status of the response is not 200.
        OSError: the connection failed, or the stream has ended.
    """
    reader, writer = await asyncio.open_connection(host, port, limit=MAX_EVENT_BYTES)
    headers = {"Last-Event-ID": last_id} if last_id else {}
    try:
        writer.write(api_request(path, token, f"{host}:{port}", headers))
        head = await reader.readuntil(b"\r\n\r\n")
        if (status := int(head[_STATUS])) != 200:
            raise ApiError(path, status)
        while True:
            event = await reader.readuntil(b"\n\n")
            if data := event.partition(_DATA)[2].rstrip():
                yield data
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("the stream has ended") from error
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
