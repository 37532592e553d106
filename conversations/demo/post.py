"""Posts the demo's requests as Evolution would: over HTTP to a running server, or to this process's own endpoint."""

import http.client
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from django.conf import settings
from django.test import Client

from conversations.demo.events import Delivery

_CONNECTIONS: dict[str, type[http.client.HTTPConnection]] = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}
_SECONDS = 60
_ATTEMPTS = 2
_ACCEPTED = range(200, 300)


class PostingError(Exception):
    """A request was not accepted, or nobody answered."""


class Poster(Protocol):
    """Something that brings one request to the endpoint."""

    def post(self, path: str, body: bytes, token: str) -> int:
        """Post and return the answer's status."""

    def close(self) -> None:
        """Let go of whatever was held between requests."""


class InProcess:
    """Django's own client: no server is needed, all of its middleware is passed."""

    def __init__(self) -> None:
        self._client = Client(raise_request_exception=False, headers={"host": _allowed_host()})

    def post(self, path: str, body: bytes, token: str) -> int:
        """Post and return the answer's status."""
        headers = {"authorization": f"Bearer {token}"}
        return self._client.post(path, body, content_type="application/json", headers=headers).status_code

    def close(self) -> None:
        """Let go of nothing."""


def _allowed_host() -> str:
    """Return a host that this project answers to."""
    host = next(iter(settings.ALLOWED_HOSTS), "localhost")
    return "localhost" if host == "*" else host.lstrip(".")


class OverHttp:
    """One connection that is kept alive, and opened again when the server has closed it.

    Raises:
        PostingError: `url` is no HTTP address.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            self._connection = _CONNECTIONS[parts.scheme](parts.hostname or "", parts.port, timeout=_SECONDS)
        except (KeyError, ValueError, http.client.InvalidURL):  # another scheme, or a port that is no number
            raise _not_an_address() from None
        if not parts.hostname:
            raise _not_an_address()
        self._prefix = parts.path.rstrip("/")
        self._address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def post(self, path: str, body: bytes, token: str) -> int:
        """Post and return the answer's status.

        Raises:
            PostingError: nobody answers.
        """
        for _ in range(_ATTEMPTS):
            try:
                return self._answer(path, body, token)
            except (ConnectionResetError, BrokenPipeError):
                self._connection.close()  # the server hung up on a quiet line: dial again, as Evolution itself would
            except (http.client.HTTPException, OSError) as error:
                raise PostingError(f"nobody answers at {self._address}: {error}") from error
        raise PostingError(f"{self._address} hangs up before it answers")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _answer(self, path: str, body: bytes, token: str) -> int:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        self._connection.request("POST", self._prefix + path, body, headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


def _not_an_address() -> PostingError:
    return PostingError("--url must be an address such as http://127.0.0.1:8000")


def posted(deliveries: Iterable[Delivery], poster: Poster, tokens: Mapping[str, str]) -> Iterator[Delivery]:
    """Post each request in turn, and yield it when it was accepted.

    Raises:
        PostingError: one was not; the ones after it have not been posted.
    """
    for delivery in deliveries:
        status = poster.post(delivery.path, delivery.body, tokens[delivery.instance])
        if status not in _ACCEPTED:
            raise PostingError(f"{delivery.event} of {delivery.instance} was answered {status}{_HINTS.get(status, '')}")
        yield delivery


_HINTS = {
    401: ": does the server use this database and this SECRET_KEY?",
    404: ": does the server use this database?",
}
