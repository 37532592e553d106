"""A WSGI application for tests of the web server; each path behaves in one way."""

import hashlib
import itertools
import os
import threading
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import django

django.setup()

FILE_BYTES = 50_000_000
_released = threading.Event()
_turns = itertools.count()

Environ = dict[str, Any]
Answer = tuple[str, Any]


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the text, the bytes or the file that the path's function returns."""
    path = environ["PATH_INFO"]
    status, content = _answer(path, environ)
    if isinstance(content, str):
        content = content.encode()
    start_response(status, [("Content-Type", "text/plain")])
    return [content] if isinstance(content, bytes) else environ["wsgi.file_wrapper"](content, 8192)


def _answer(path: str, environ: Environ) -> Answer:
    if path.startswith("/webhooks/"):
        return _webhook(environ)
    return "200 OK", _CONTENTS.get(path, _pid)(environ)


def _webhook(environ: Environ) -> Answer:
    if environ.get("HTTP_X_WEBHOOK_TOKEN") != "right":
        return "401 Unauthorized", "refused"
    return ("100 Continue", "") if environ.get("webhooks.check_only") else ("202 Accepted", _digest(environ))


def _health(environ: Environ) -> str:
    if environ["QUERY_STRING"] == "release":
        _released.set()
    return "healthy"


def _wait(_environ: Environ) -> str:
    _released.wait()
    return "released"


def _pid(_environ: Environ) -> str:
    return str(os.getpid())


def _digest(environ: Environ) -> str:
    body = environ["wsgi.input"].read()
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}"


def _fail(_environ: Environ) -> str:
    raise RuntimeError("hunter2")


_CONTENTS: dict[str, Callable[[Environ], Any]] = {
    "/health/": _health,
    "/wait": _wait,
    "/digest": _digest,
    "/fail": _fail,
    "/turn": lambda _environ: str(next(_turns)),
    "/text": lambda _environ: b"x" * FILE_BYTES,
    "/file": lambda _environ: BytesIO(b"x" * FILE_BYTES),
    "/environ": lambda environ: "\n".join(f"{name}={value}" for name, value in sorted(environ.items())),
}
