"""Posts the demo's requests as Evolution would: over HTTP to a running server, or to this process's own endpoint."""

import http.client
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from django.conf import settings
from django.test import Client, override_settings

from conversations.demo.events import Delivery
from conversations.ingest import metrics
from conversations.ingest.worker.worker import Worker
from conversations.models import WebhookEvent

_CONNECTIONS: dict[str, type[http.client.HTTPConnection]] = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}
_SECONDS = 60
_ATTEMPTS = 2
_ACCEPTED = range(200, 300)
_LATER = (429, 503)
_PATIENCE = 120  # seconds for which a server may ask to come back later, and its worker may be behind
_POLL = 0.2


class PostingError(Exception):
    """A request was not accepted, or nobody answered."""


class Poster(Protocol):
    """Something that brings one request to the endpoint."""

    def post(self, path: str, body: bytes, token: str) -> int:
        """Post and return the answer's status."""

    def wait_until_applied(self) -> None:
        """Return once everything posted is applied."""

    def close(self) -> None:
        """Let go of whatever was held between requests."""


class InProcess:
    """Django's own client: no server is needed, all of its middleware is passed. Nothing is too much at once."""

    def __init__(self) -> None:
        self._limits = override_settings(INGEST={**settings.INGEST, "FLOOD": 1e9, "BACKLOG": 10**9})
        self._limits.enable()
        self._client = Client(raise_request_exception=False, headers={"host": _allowed_host()})

    def post(self, path: str, body: bytes, token: str) -> int:
        """Post and return the answer's status."""
        headers = {"authorization": f"Bearer {token}"}
        return self._client.post(path, body, content_type="application/json", headers=headers).status_code

    def wait_until_applied(self) -> None:
        """Apply what was posted, in this process, and add up what was counted."""
        Worker().drain()
        metrics.flush()

    def close(self) -> None:
        """Let the limits be as they were."""
        self._limits.disable()


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

    def wait_until_applied(self) -> None:
        """Wait for the server's worker.

        Raises:
            PostingError: it does nothing.
        """
        stored = WebhookEvent.objects.filter(outcome=WebhookEvent.Outcome.STORED, attempts=0)
        patience = time.monotonic() + _PATIENCE
        while stored.exists():
            if time.monotonic() > patience:
                raise PostingError("what was posted is stored, and nobody applies it: does `manage.py ingest` run?")
            time.sleep(_POLL)

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


def post_all(deliveries: Iterable[Delivery], poster: Poster, tokens: Mapping[str, str]) -> Iterator[Delivery]:
    """Post each request in turn, and yield it when it was accepted.

    Raises:
        PostingError: one was not; the ones after it have not been posted.
    """
    for delivery in deliveries:
        status = _status(delivery, poster, tokens[delivery.instance])
        if status not in _ACCEPTED:
            raise PostingError(f"{delivery.event} of {delivery.instance} was answered {status}{_HINTS.get(status, '')}")
        yield delivery


def _status(delivery: Delivery, poster: Poster, token: str) -> int:
    """Post one request, again and again while the server is busy, as Evolution would."""
    patience = time.monotonic() + _PATIENCE
    while (status := poster.post(delivery.path, delivery.body, token)) in _LATER and time.monotonic() < patience:
        time.sleep(_POLL)
    return status


_HINTS = {
    401: ": does the server use this database and this SECRET_KEY?",
    404: ": does the server use this database?",
}
