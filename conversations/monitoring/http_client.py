"""Sends HTTP requests to addresses that the operator has configured."""

from typing import Any
from urllib.request import HTTPRedirectHandler, Request, build_opener


class _NoRedirects(HTTPRedirectHandler):
    """Takes a redirect for a failure: the URL is wrong, and a POST must not become a GET."""

    def redirect_request(self, *_args: Any, **_options: Any) -> None:
        return None


def send(url: str, headers: dict[str, str], body: bytes | None = None, *, timeout: float) -> Any:
    """Send a GET request, or a POST request with a body, and return the open response.

    Args:
        url: a URL whose scheme has been checked to be http or https.
        headers: the headers.
        body: the body of a POST request; None for GET.
        timeout: seconds for each wait for the server.

    Raises:
        HTTPError: the status is not 2xx.
        OSError: the server does not answer.
    """
    request = Request(url, body, headers)  # noqa: S310 - see `url`
    return build_opener(_NoRedirects).open(request, timeout=timeout)
