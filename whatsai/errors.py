"""HTTP errors are JSON for paths under `/api/`, and Django's own pages for other paths.

Handlers answer for Django, and a middleware replaces the pages of everything else, such as a refused method of a view
that renders HTML.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

Handler = Callable[..., HttpResponse]

JSON = "application/json"
# Headers that describe the replaced page, and not the error.
_PAGE_HEADERS = ("Content-Type", "Content-Length")


def is_api(request: HttpRequest) -> bool:
    """Return whether a request is for a path under `/api/`."""
    return re.match(r"/api(?:/|$)", request.path_info) is not None


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Replace each error page under `/api/` by JSON with the same status."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if response.status_code < HTTPStatus.BAD_REQUEST or not is_api(request):
            return response
        if response.headers.get("Content-Type", "").startswith(JSON):
            return response
        headers = {name: value for name, value in response.headers.items() if name not in _PAGE_HEADERS}
        return JsonResponse({"detail": f"{response.reason_phrase}."}, status=response.status_code, headers=headers)

    return answer


def handler(status: int, detail: str, page: Handler) -> Handler:
    """Return the error handler for one HTTP status (https://docs.djangoproject.com/en/stable/ref/urls/#handler400)."""

    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if is_api(request):
            return JsonResponse({"detail": detail}, status=status)
        return page(request, *args, **kwargs)

    return answer


bad_request = handler(400, "Bad request.", defaults.bad_request)
permission_denied = handler(403, "Forbidden.", defaults.permission_denied)
not_found = handler(404, "Not found.", defaults.page_not_found)
server_error = handler(500, "The server failed. It has been logged.", defaults.server_error)
