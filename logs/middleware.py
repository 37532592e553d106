"""Gives each request an id, adds the id to all log records of the request, and logs each response.

The request id comes from the header `X-Request-ID`, or is generated; the response returns the id in the same header.
The log line about a response belongs to the log context of the request's path (`LOGS_CONTEXT_BY_PATH`), or to API. This
log line replaces Django's own log line about a 4xx or 5xx response; Django's log line about an unhandled exception
stays.
"""

import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, cast

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.utils.functional import SimpleLazyObject, empty

from logs import binding
from logs.contexts import Context
from logs.line_limit import line_limit, shorten

HEADER = "X-Request-ID"
_VALID_ID = re.compile(r"[\w.-]{1,64}\Z", re.ASCII)  # the ids that proxies send; any other value is replaced
_OK = 200
MAX_PATH_CHARS = 200  # characters of a path that a log line shows
# Pairs of the lowest HTTP status of a range and the log level for this range.
_LEVELS = ((500, logging.ERROR), (400, logging.WARNING), (0, logging.INFO))

Response = HttpResponseBase
GetResponse = Callable[[HttpRequest], Response] | Callable[[HttpRequest], Awaitable[Response]]


@sync_and_async_middleware
def middleware(get_response: GetResponse) -> GetResponse:
    """Bind each request's id to the log records, and log the response."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> Response:
            finish = _begin(request)
            return finish(await cast("Callable[[HttpRequest], Awaitable[Response]]", get_response)(request))

        return answer_async

    def answer(request: HttpRequest) -> Response:
        finish = _begin(request)
        return finish(cast("Callable[[HttpRequest], Response]", get_response)(request))

    return answer


def _begin(request: HttpRequest) -> Callable[[Response], Response]:
    """Bind the request's id until `clear_bindings` is called, because Django logs even after this middleware."""
    given = request.headers.get(HEADER, "")
    request_id = given if _VALID_ID.match(given) else secrets.token_hex(8)
    context, started = context_for_path(request.path), perf_counter()
    binding.reset(request_id=request_id, **{binding.REQUEST_CONTEXT: context})

    def finish(response: Response) -> Response:
        response[HEADER] = request_id
        _log(request, response, context, perf_counter() - started)
        return response

    return finish


def clear_bindings(**_signal: Any) -> None:
    """Remove all bound log fields at the end of a request (a receiver of the Django signal `request_finished`)."""
    binding.reset()


def context_for_path(path: str) -> Context:
    """Return the log context of a request path, found by prefix in the setting `LOGS_CONTEXT_BY_PATH`."""
    prefixes: dict[str, str] = getattr(settings, "LOGS_CONTEXT_BY_PATH", {})
    return next((Context(name) for prefix, name in prefixes.items() if path.startswith(prefix)), Context.API)


def _log(request: HttpRequest, response: Response, context: Context, seconds: float) -> None:
    """Log a response with its path but without the query string, which may hold a token or a searched name.

    Of the responses to requests without a user, only some are logged, because anybody can send such requests.
    """
    fields: dict[str, Any] = {"status": response.status_code, "duration_ms": round(seconds * 1000, 2)}
    user = _user_pk(request)
    if user is not None:
        fields["user"] = user
    if isinstance(response, HttpResponse):
        fields["size"] = len(response.content)
    is_logged = getattr(response, "_has_been_logged", False)
    level = _level(context, _OK if is_logged else response.status_code)
    is_anonymous = user is None and level > logging.DEBUG
    left_out = line_limit.admit((context, response.status_code)) if is_anonymous else {}
    if left_out is not None:
        path = shorten(request.path, MAX_PATH_CHARS)
        context.logger.log(level, "%s %s %s", request.method, path, response.status_code, extra={**fields, **left_out})
    response._has_been_logged = True  # type: ignore[attr-defined] # noqa: SLF001 - Django then skips its own log line


def _level(context: Context, status: int) -> int:
    """Return the log level for a response: DEBUG outside the context API, where views log problems themselves."""
    if context is not Context.API:
        return logging.DEBUG
    return next(level for lowest, level in _LEVELS if status >= lowest)


def _user_pk(request: HttpRequest) -> object:
    """Return the primary key of the request's user if the user is already loaded; never query the database."""
    user = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject) and cast("Any", user)._wrapped is empty:  # noqa: SLF001 - no public API
        return None
    return getattr(user, "pk", None)
