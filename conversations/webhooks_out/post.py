"""Posts one delivery over HTTP/1.1, and says what came of it.

The whole exchange has a time limit, so a receiver that sends a byte from time to time holds nothing. Redirects are not
followed, because they could lead into a private network. Proxies of the environment are not used, because they would
resolve the name themselves. An answer counts, also of a receiver that closes before it has read the body.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import h11

from conversations.webhooks_out import errors
from conversations.webhooks_out.addresses import PORTS, AddressRefused, check_url, resolve
from conversations.webhooks_out.answer_socket import AnswerSocket
from conversations.webhooks_out.retries import Outcome

SECONDS = 10.0  # for the whole exchange, from the resolution of the name to the head of the answer
MAX_HEAD_BYTES = 16_384  # of the answer; its content is not read
MAX_INFORMATIONAL = 10  # responses before the final one
CHUNK = 4096
USER_AGENT = "WhatsAI"


async def post(url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
    """Post a body of JSON to a URL; never raises an error of the network or of the receiver."""
    try:
        async with asyncio.timeout(SECONDS):
            return await _exchange(url, headers, body)
    except TimeoutError:
        return Outcome(None, errors.NO_ANSWER % {"seconds": f"{SECONDS:.0f}"})
    except AddressRefused as error:
        return Outcome(None, str(error))
    except ssl.SSLCertVerificationError as error:
        return Outcome(None, errors.BAD_CERTIFICATE % {"reason": error.verify_message})
    except OSError as error:
        return Outcome(None, errors.NO_CONNECTION % {"reason": error.strerror or type(error).__name__})
    except h11.RemoteProtocolError:
        return Outcome(None, errors.NOT_HTTP)


async def _exchange(url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
    parts = check_url(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    addresses = await resolve(host, port)
    tls = {"ssl": _tls(), "server_hostname": host} if parts.scheme == "https" else {}
    sock, reader, writer = await _connect(addresses, port, tls)
    try:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fields = {
            "Host": parts.netloc,
            "User-Agent": USER_AGENT,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **headers,
        }
        head = connection.send(h11.Request(method="POST", target=target, headers=list(fields.items())))
        sending = asyncio.ensure_future(_send(writer, head or b"", body))
        try:
            return _outcome(await _read_head(connection, reader))
        except h11.RemoteProtocolError:
            if sock.error is not None:
                raise sock.error from None  # the reason why the receiver has not answered
            raise
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await sending
    finally:
        writer.transport.abort()


async def _connect(
    addresses: list[str], port: int, tls: dict[str, Any]
) -> tuple[AnswerSocket, asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first of the addresses that accepts; with TLS, to the first that also proves who it is."""
    error = OSError("no address")
    for address in addresses:
        sock = AnswerSocket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(0)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
            return sock, *await asyncio.open_connection(sock=sock, limit=MAX_HEAD_BYTES, **tls)
        except BaseException as refused:
            sock.close()
            if not isinstance(refused, OSError):
                raise
            error = refused
    raise error


async def _send(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
    writer.write(head)
    writer.write(body)
    await writer.drain()


async def _read_head(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Response:
    """Read until the final answer's head is complete."""
    informational = 0
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            return event
        informational += isinstance(event, h11.InformationalResponse)
        if informational > MAX_INFORMATIONAL:
            raise h11.RemoteProtocolError("too many informational responses")
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK))
        elif isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("closed without an answer")


def _outcome(response: h11.Response) -> Outcome:
    status = int(response.status_code)
    if 200 <= status < 300:  # noqa: PLR2004 - the class of successful answers
        return Outcome(status)
    text = errors.REDIRECTED if 300 <= status < 400 else errors.ANSWERED  # noqa: PLR2004 - the class of redirects
    return Outcome(status, text % {"status": status}, _retry_after(dict(response.headers).get(b"retry-after", b"")))


def _retry_after(value: bytes) -> float | None:
    """Return the seconds of a `Retry-After` field; a date is ignored, which the specification permits."""
    return float(value) if value.isdigit() and len(value) < 8 else None  # noqa: PLR2004 - 8 digits are years


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
