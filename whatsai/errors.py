"""Handlers of HTTP errors: they return JSON for paths under `/api/`, and Django's own pages for other paths."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

Handler = Callable[..., HttpResponse]


def handler(status: int, detail: str, page: Handler) -> Handler:
    """Return the error handler for one HTTP status (https://docs.djangoproject.com/en/stable/ref/urls/#handler400)."""

    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.path_info.startswith("/api/"):
            return JsonResponse({"detail": detail}, status=status)
        return page(request, *args, **kwargs)

    return answer


bad_request = handler(400, "Bad request.", defaults.bad_request)
permission_denied = handler(403, "Forbidden.", defaults.permission_denied)
not_found = handler(404, "Not found.", defaults.page_not_found)
server_error = handler(500, "The server failed. It has been logged.", defaults.server_error)
