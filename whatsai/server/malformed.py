"""The answer to a request that cannot be read as HTTP, so that the application never gets it."""

from http import HTTPStatus

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from whatsai import language
from whatsai.errors import is_api
from whatsai.response_headers import API_CACHE_CONTROL, CONTENT_SECURITY_POLICY
from whatsai.server.wsgi import Response, error_response

# What is wrong, by the name of the exception: gunicorn has two classes of most names, whose texts quote the request.
REASONS = {
    "LimitRequestLine": _("the first line is too long"),
    "LimitRequestHeaders": _("the headers are too many or too long"),
    "InvalidRequestLine": _("the first line is not valid"),
    "InvalidRequestMethod": _("the method is not valid"),
    "InvalidHTTPVersion": _("the version of HTTP is not supported"),
    "InvalidHeaderName": _("the name of a header is not valid"),
    "InvalidHeader": _("a header is not valid, is repeated, or contradicts another one"),
    "InvalidSchemeHeaders": _("a header is not valid, is repeated, or contradicts another one"),
    "ExpectationFailed": _("what the header Expect asks for is not supported"),
    "UnsupportedTransferCoding": _("the transfer coding is not supported"),
    "InvalidChunkSize": _("a chunk of the body is not valid"),
    "InvalidChunkExtension": _("a chunk of the body is not valid"),
    "ChunkMissingTerminator": _("a chunk of the body is not valid"),
    "TinyChunksError": _("the body has too many tiny chunks"),
    "ValueError": _("a number has too many digits"),
}
OTHER = _("it is malformed")


def malformed(path: str, status: int, error: BaseException | None) -> bytes:
    """Return a whole response, after which the connection is closed. It quotes nothing of the request.

    It is a problem under `/api/`, and plain text for other paths.

    Args:
        path: the path of the request; empty if it is malformed before its path ends.
        status: the HTTP status.
        error: the error because of which the request cannot be read, if any.
    """
    with language.of_client(""):
        detail = _detail(status, error)
        response = error_response(path, status, "", detail) if is_api(path) else _text(status, detail)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(), b"Connection: close"]
    lines += [b"%s: %s" % header for header in response.headers]
    return b"\r\n".join([*lines, b"", response.content])


def _detail(status: int, error: BaseException | None) -> str:
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return gettext("The server failed. It has been logged.")
    reason = gettext(REASONS.get(type(error).__name__, OTHER))
    return gettext("The request cannot be read: %(reason)s.") % {"reason": reason}


def _text(status: int, text: str) -> Response:
    content = text.encode()
    headers = [
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Content-Length", str(len(content)).encode()),
        (b"Content-Security-Policy", CONTENT_SECURITY_POLICY.encode()),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Cache-Control", API_CACHE_CONTROL.encode()),
    ]
    return Response(status, headers, content)
