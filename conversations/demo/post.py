"""Posts the demo's webhook requests like Evolution: over HTTP to a running server, or through Django's test client."""

import http.client
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from django.conf import settings
from django.test import Client, override_settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from conversations.demo.events import Delivery
from conversations.ingest import metrics
from conversations.ingest.worker.worker import Worker
from conversations.models import WebhookEvent

_CONNECTIONS: dict[str, type[http.client.HTTPConnection]] = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}
_REQUEST_TIMEOUT = 60  # seconds
_CONNECTION_ATTEMPTS = 2
_SUCCESS = range(200, 300)
_RETRY_STATUSES = (429, 503)
_HINTS = {
    401: noop(": does the server use this database and this SECRET_KEY?"),
    404: noop(": does the server use this database?"),
}
_WAIT_TIMEOUT = 120  # seconds to wait for an overloaded server or for its ingestion worker
_POLL_SECONDS = 0.2


OnApplied = Callable[[int], object]


class PostingError(Exception):
    """The server did not accept a webhook request, or did not respond."""


def count_waiting() -> int:
    """Return how many stored events have not been applied yet."""
    return WebhookEvent.objects.filter(outcome=WebhookEvent.Outcome.STORED, attempts=0).count()


class InProcess:
    """Posts requests to the application in the current process, through all of Django's middleware.

    Rate limits are disabled until `close` is called.
    """

    def __init__(self) -> None:
        self._limits = override_settings(INGEST={**settings.INGEST, "RATE_LIMIT": 1e9, "QUEUE_LIMIT": 10**9})
        self._limits.enable()
        self._client = Client(raise_request_exception=False, headers={"host": _allowed_host()})

    def post(self, path: str, body: bytes, token: str) -> int:
        """Post one request and return the HTTP status of the response."""
        headers = {"authorization": f"Bearer {token}"}
        return self._client.post(path, body, content_type="application/json", headers=headers).status_code

    def wait_until_applied(self, on_applied: OnApplied = bool) -> None:
        """Apply the stored webhook events in the current process, and write the ingestion metrics.

        Args:
            on_applied: called from time to time with the number of events that were applied since the last call.
        """
        Worker().drain(on_applied)
        metrics.flush()

    def close(self) -> None:
        """Enable the rate limits again."""
        self._limits.disable()


def _allowed_host() -> str:
    """Return a host name that ALLOWED_HOSTS accepts."""
    host = next(iter(settings.ALLOWED_HOSTS), "localhost")
    return "localhost" if host == "*" else host.lstrip(".")


class OverHttp:
    """Posts requests over one keep-alive connection, which is opened again if the server has closed it.

    Raises:
        PostingError: `url` is not an HTTP address.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            self._connection = _CONNECTIONS[parts.scheme](parts.hostname or "", parts.port, timeout=_REQUEST_TIMEOUT)
        except (KeyError, ValueError, http.client.InvalidURL):  # the URL has an unsupported scheme or an invalid port
            raise _invalid_url() from None
        if not parts.hostname:
            raise _invalid_url()
        self._path_prefix = parts.path.rstrip("/")
        self._address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def post(self, path: str, body: bytes, token: str) -> int:
        """Post one request and return the HTTP status of the response.

        Raises:
            PostingError: the server cannot be reached or does not respond.
        """
        for _attempt in range(_CONNECTION_ATTEMPTS):
            try:
                return self._request(path, body, token)
            except (ConnectionResetError, BrokenPipeError):
                self._connection.close()  # the server closed the idle connection, so the next attempt opens another
            except (http.client.HTTPException, OSError) as error:
                text = _("no response from %(address)s: %(error)s")
                raise PostingError(text % {"address": self._address, "error": error}) from error
        text = _("%(address)s closes the connection before it responds")
        raise PostingError(text % {"address": self._address})

    def wait_until_applied(self, on_applied: OnApplied = bool) -> None:
        """Wait until the server's worker has applied the stored events.

        Args:
            on_applied: as in `InProcess.wait_until_applied`.

        Raises:
            PostingError: the worker has not applied all stored events before the timeout.
        """
        deadline = time.monotonic() + _WAIT_TIMEOUT
        before = count_waiting()
        while before:
            if time.monotonic() > deadline:
                text = _("the events are stored, but no worker applies them: is `manage.py ingest` running?")
                raise PostingError(text)
            time.sleep(_POLL_SECONDS)
            waiting = count_waiting()
            on_applied(max(before - waiting, 0))
            before = waiting

    def close(self) -> None:
        """Close the connection to the server."""
        self._connection.close()

    def _request(self, path: str, body: bytes, token: str) -> int:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        self._connection.request("POST", self._path_prefix + path, body, headers)
        response = self._connection.getresponse()
        response.read()
        return response.status


Poster = InProcess | OverHttp


def _invalid_url() -> PostingError:
    return PostingError(_("--url must be an address such as http://127.0.0.1:8000"))


def post_all(deliveries: Iterable[Delivery], poster: Poster, tokens: Mapping[str, str]) -> Iterator[Delivery]:
    """Post the requests in order, and yield each request after the server has accepted it.

    Args:
        deliveries: the requests to post.
        poster: the object that sends the requests.
        tokens: instance name → webhook token.

    Raises:
        PostingError: the server did not accept a request; later requests have not been posted.
    """
    for delivery in deliveries:
        status = _post_with_retries(delivery, poster, tokens[delivery.instance])
        if status not in _SUCCESS:
            values = {"event": delivery.event, "name": delivery.instance, "status": status}
            hint = _(_HINTS[status]) if status in _HINTS else ""
            raise PostingError(_("%(event)s of %(name)s got the response %(status)s") % values + hint)
        yield delivery


def _post_with_retries(delivery: Delivery, poster: Poster, token: str) -> int:
    """Post one request, and repeat the request while the server is overloaded, as Evolution does."""
    deadline = time.monotonic() + _WAIT_TIMEOUT
    while (status := poster.post(delivery.path, delivery.body, token)) in _RETRY_STATUSES:
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    return status
