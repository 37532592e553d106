"""HTTP errors are problem details for paths under `/api/`, and pages for people for other paths.

Handlers answer for Django, and a middleware replaces the content of everything else, such as the page of a refused
method of a view that renders HTML.
"""

import re
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from conversations.api.problems import CONTENT_TYPE, problem, problem_response
from whatsai.error_pages import EXPIRED_FORM, error_page
from whatsai.statement_timeout import is_timeout

Handler = Callable[..., HttpResponse]

# Headers that describe the replaced content, and not the error.
_CONTENT_HEADERS = ("Content-Type", "Content-Length", "Content-Language")
OUTAGE_SECONDS = 5  # when to ask again after the database was unavailable
UNAVAILABLE = _("The database is not available now. Ask again later.")
TOO_SLOW = _("The database needed too long for this request. Ask for less, or ask again later.")


def is_api(path: str) -> bool:
    """Return whether a path belongs to the API."""
    return re.match(r"/api(?:/|$)", path) is not None


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Replace the content of each error under `/api/` by a problem with the same status."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if response.status_code < HTTPStatus.BAD_REQUEST or not is_api(request.path_info):
            return response
        if response.headers.get("Content-Type") == CONTENT_TYPE:
            return response
        headers = {name: value for name, value in response.headers.items() if name not in _CONTENT_HEADERS}
        return problem_response(problem(response.status_code, f"{gettext(response.reason_phrase)}."), headers)

    return answer


def handler(status: int, detail: str) -> Handler:
    """Return the error handler for one HTTP status (https://docs.djangoproject.com/en/stable/ref/urls/#handler400)."""

    def answer(request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
        return problem_response(problem(status, detail)) if is_api(request.path_info) else error_page(status)

    return answer


def server_error(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Answer 503 if the database is unavailable or too slow, so that clients ask again; else 500."""
    error = sys.exception()
    if not isinstance(error, OperationalError | InterfaceError):
        return fault(request, *args, **kwargs)
    detail, headers = TOO_SLOW if is_timeout(error) else UNAVAILABLE, {"Retry-After": str(OUTAGE_SECONDS)}
    if is_api(request.path_info):
        return problem_response(problem(503, detail), headers)
    return error_page(503, advice=gettext(detail), headers=headers)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's parameters
    """Answer a form without a valid CSRF token; under `/api/`, the middleware replaces the page."""
    return error_page(403, EXPIRED_FORM)


bad_request = handler(400, _("The request is malformed."))
permission_denied = handler(403, _("This request is not permitted."))
not_found = handler(404, _("Not found."))
fault = handler(500, _("The server failed. It has been logged."))
