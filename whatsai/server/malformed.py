"""The answer to a request that cannot be read as HTTP, so that the application never gets it."""

from http import HTTPStatus

from django.utils.translation import gettext as _

from whatsai import language
from whatsai.errors import is_api
from whatsai.response_headers import API_CACHE_CONTROL, CONTENT_SECURITY_POLICY
from whatsai.server.wsgi import Response, error_response


def malformed(path: str, status: int, reason: str) -> bytes:
    """Return a whole response, after which the connection is closed.

    It is a problem under `/api/`, and plain text for other paths. The reason can quote the request, so headers forbid
    a browser to take it for a page.

    Args:
        path: the path of the request; empty if it is malformed before its path ends.
        status: the HTTP status.
        reason: what is wrong, in English.
    """
    response = _problem(path, status, reason) if is_api(path) else _text(status, reason)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(), b"Connection: close"]
    lines += [b"%s: %s" % header for header in response.headers]
    return b"\r\n".join([*lines, b"", response.content])


def _problem(path: str, status: int, reason: str) -> Response:
    with language.of_client(""):
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            detail = _("The server failed. It has been logged.")
        else:
            detail = _("The request cannot be read: %(reason)s.") % {"reason": reason}
        return error_response(path, status, "", detail)


def _text(status: int, reason: str) -> Response:
    content = reason.encode()
    headers = [
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Content-Length", str(len(content)).encode()),
        (b"Content-Security-Policy", CONTENT_SECURITY_POLICY.encode()),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Cache-Control", API_CACHE_CONTROL.encode()),
    ]
    return Response(status, headers, content)
