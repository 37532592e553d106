"""Webhooks pass by what is for people: sessions, languages, cookies, frames. Of a short request that is a fifth.

Nor is the name asked by which the server is known here: an Evolution server in the same network may use any, and drops
an event that is answered 400.
"""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import resolve

_WEBHOOKS = re.compile(r"/+webhooks(?:/|$)")  # as in `urls.py`


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer webhooks, and pass on all other requests."""

    def answer(request: HttpRequest) -> HttpResponse:
        if not _WEBHOOKS.match(request.path_info):
            return get_response(request)
        view, arguments, named = resolve(request.path_info)
        response: HttpResponse = view(request, *arguments, **named)
        response.headers.setdefault("Content-Length", str(len(response.content)))
        return response

    return answer
