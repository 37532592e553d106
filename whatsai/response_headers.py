"""Middleware that tells browsers and proxies what they may do with a response: run, embed and store.

Pages load scripts and styles from this site only. Nothing inline runs, so that a text that a sender managed to place in
a page could not run either. Responses of the API contain conversations, so nobody else may store them.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from whatsai.errors import is_api

POLICY = {
    "default-src": "'self'",
    "img-src": "'self' data:",  # the admin shows pairing codes as data URLs, and so does the API's documentation
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
CONTENT_SECURITY_POLICY = "; ".join(f"{name} {sources}" for name, sources in POLICY.items())
API_CACHE_CONTROL = "private, no-store"


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Add the headers to each response, unless a view has set them."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        if is_api(request.path_info):
            response.headers.setdefault("Cache-Control", API_CACHE_CONTROL)
        return response

    return answer
