"""Middleware that answers webhook requests without calling the middleware listed after it.

The middleware for sessions, languages, cookies and frames would take a fifth of the time of a short webhook request.
Webhook requests also skip the check of ALLOWED_HOSTS, because an Evolution server in the same network may use any host
name, and drops an event that is answered with status 400.
"""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import resolve

_WEBHOOKS = re.compile(r"/+webhooks(?:/|$)")  # matches the paths of all routes in `urls.py`


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer webhook requests, and pass all other requests to the next middleware."""

    def answer(request: HttpRequest) -> HttpResponse:
        if not _WEBHOOKS.match(request.path_info):
            return get_response(request)
        view, args, kwargs = resolve(request.path_info)
        response: HttpResponse = view(request, *args, **kwargs)
        response.headers.setdefault("Content-Length", str(len(response.content)))
        return response

    return answer
