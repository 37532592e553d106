"""One request, one id: taken from `X-Request-ID` or given, bound to all that is logged meanwhile, and sent back.

When it is answered, a line says so, in the context of its path (`LOGS_AREAS`) or in API. It takes the place of Django's
own line about what was refused or failed; Django's line about an exception that nobody handled stays beside it.
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

HEADER = "X-Request-ID"
_ACCEPTED = re.compile(r"[\w.-]{1,64}\Z", re.ASCII)  # what a proxy gives; anything longer or odder is not repeated
_OK = 200
_LEVELS = ((500, logging.ERROR), (400, logging.WARNING), (0, logging.INFO))

Response = HttpResponseBase
Answer = Callable[[HttpRequest], Response] | Callable[[HttpRequest], Awaitable[Response]]


@sync_and_async_middleware
def middleware(get_response: Answer) -> Answer:
    """Name each request, and log its answer."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> Response:
            answered = _begin(request)
            return answered(await cast("Callable[[HttpRequest], Awaitable[Response]]", get_response)(request))

        return answer_async

    def answer(request: HttpRequest) -> Response:
        answered = _begin(request)
        return answered(cast("Callable[[HttpRequest], Response]", get_response)(request))

    return answer


def _begin(request: HttpRequest) -> Callable[[Response], Response]:
    """Bind the request's id; what is bound stays until the request is over (`end`), for Django logs after us."""
    given = request.headers.get(HEADER, "")
    request_id = given if _ACCEPTED.match(given) else secrets.token_hex(8)
    area, began = area_of(request.path), perf_counter()
    binding.reset(request_id=request_id, **{binding.AREA: area})

    def answered(response: Response) -> Response:
        response[HEADER] = request_id
        _log(request, response, area, perf_counter() - began)
        return response

    return answered


def end(**_signal: Any) -> None:
    """Forget what was bound: the request is over (a receiver of `request_finished`)."""
    binding.reset()


def area_of(path: str) -> Context:
    """Return the context that requests for a path belong to, as the setting `LOGS_AREAS` says."""
    areas: dict[str, str] = getattr(settings, "LOGS_AREAS", {})
    return next((Context(area) for prefix, area in areas.items() if path.startswith(prefix)), Context.API)


def _log(request: HttpRequest, response: Response, area: Context, seconds: float) -> None:
    """Log an answer: its path alone, for a query may hold a token, or a name that somebody looked for."""
    fields: dict[str, Any] = {"status": response.status_code, "duration_ms": round(seconds * 1000, 2)}
    user = _user(request)
    if user is not None:
        fields["user"] = user
    if isinstance(response, HttpResponse):
        fields["size"] = len(response.content)
    is_told = getattr(response, "_has_been_logged", False)
    level = _level(area, _OK if is_told else response.status_code)
    area.logger.log(level, "%s %s %s", request.method, request.path, response.status_code, extra=fields)
    response._has_been_logged = True  # type: ignore[attr-defined] # noqa: SLF001 - Django's mark, by which it knows


def _level(area: Context, status: int) -> int:
    """Return how loudly an answer is told; an area of its own tells itself what went wrong there."""
    if area is not Context.API:
        return logging.DEBUG
    return next(level for least, level in _LEVELS if status >= least)


def _user(request: HttpRequest) -> object:
    """Return the primary key of who asked, if that is known already: it is not worth a query."""
    user = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject) and cast("Any", user)._wrapped is empty:  # noqa: SLF001 - the only way to look
        return None
    return getattr(user, "pk", None)
