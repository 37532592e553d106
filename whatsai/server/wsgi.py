"""Runs a WSGI application for one request that was received completely, in a thread."""

import json
import sys
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIApplication
from wsgiref.util import FileWrapper

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from conversations.api.problems import CONTENT_TYPE as PROBLEM
from conversations.api.problems import problem
from conversations.changes.following import Subscription
from logs.contexts import Context
from logs.line_limit import line_limit
from whatsai import language
from whatsai.errors import is_api
from whatsai.request_headers import without_charset
from whatsai.response_headers import API_CACHE_CONTROL, CONTENT_SECURITY_POLICY

Scope = MutableMapping[str, Any]
Headers = list[tuple[bytes, bytes]]

_UNPREFIXED = {"CONTENT_TYPE"}  # environment variables of headers without the prefix HTTP_
# The body is complete: its length is known, and how it was sent does not concern the application.
_LEFT_OUT = {"HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT"}


@dataclass
class Response:
    """A response of the application: its content is in memory, or in an open file that the caller must close.

    Attributes:
        subscription: the changes that the request waits for, or with which the response continues; None for most.
    """

    status: int
    headers: Headers
    content: bytes = b""
    file: Any = None
    subscription: Subscription | None = None


@dataclass
class _Started:
    status: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)


def build_environ(scope: Scope, body: IO[bytes], size: int, **extra: object) -> dict[str, Any]:
    """Return the WSGI environment of a request.

    Args:
        scope: the ASGI scope of the request.
        body: the request's body, at its start.
        size: the number of bytes of the body.
        extra: variables to add.
    """
    server, client = scope.get("server") or ("", None), scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "CONTENT_LENGTH": str(size) if size else "",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or ""),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        **extra,
    }
    for name, value in without_charset(scope["headers"]):
        variable = name.decode("latin-1").upper().replace("-", "_")
        variable = variable if variable in _UNPREFIXED else f"HTTP_{variable}"
        text = value.decode("latin-1")
        environ[variable] = f"{environ[variable]},{text}" if variable in environ else text
    for variable in _LEFT_OUT:
        environ.pop(variable, None)
    return environ


def respond(application: WSGIApplication, environ: dict[str, Any]) -> Response:
    """Call the application and return its response, with status 500 if it raises an error.

    A response that is a file is returned unread.
    """
    try:
        return _call(application, environ)
    except Exception:  # noqa: BLE001 - Django answers errors of views, but not those of reading a request's head
        left_out = line_limit.admit("failed requests")
        if left_out is not None:
            Context.GENERAL.logger.exception("Request FAILED: the application raised an error", extra=left_out)
        with language.of_client(environ.get("HTTP_ACCEPT_LANGUAGE", "")):
            detail = _("The server failed. It has been logged.")
            return error_response(environ["PATH_INFO"], 500, "server_error", detail)


def error_response(path: str, status: int, code: str, detail: str, *headers: tuple[bytes, bytes]) -> Response:
    """Return the server's own JSON response for a request that the application does not answer.

    It is a problem under `/api/`; for other paths, such as webhooks, it is `{"error": …, "detail": …}`. Its language is
    the one that is active.
    """
    is_problem = is_api(path)
    content = json.dumps(problem(status, detail) if is_problem else {"error": code, "detail": detail}).encode()
    return Response(
        status,
        [
            (b"Content-Type", PROBLEM.encode() if is_problem else b"application/json"),
            (b"Content-Length", str(len(content)).encode()),
            (b"Content-Language", str(get_language()).encode()),
            (b"Vary", b"Accept-Language"),
            (b"Content-Security-Policy", CONTENT_SECURITY_POLICY.encode()),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Cache-Control", API_CACHE_CONTROL.encode()),
            *headers,
        ],
        content,
    )


def _call(application: WSGIApplication, environ: dict[str, Any]) -> Response:
    started = _Started()

    def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> Any:
        started.status, started.headers = status, headers
        return _refuse_write

    parts = application(environ, start_response)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in started.headers]
    response = Response(int(started.status[:3]), headers)
    if isinstance(parts, FileWrapper):
        response.file = parts.filelike
        return response
    response.content = _join(parts)
    if response.content and b"content-length" not in [name.lower() for name, _ in headers]:
        headers.append((b"Content-Length", str(len(response.content)).encode()))
    return response


def _join(parts: Iterable[bytes]) -> bytes:
    try:
        return b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()  # Django then ends the request, and closes the thread's database connection if it is old


def _refuse_write(_data: bytes) -> None:
    raise NotImplementedError("the application must return its content")
