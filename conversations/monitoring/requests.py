"""Times requests by the name of their route and the class of their status.

The names come from the URL table, so their number is fixed whatever paths clients invent. All pages of the admin are
one route, and so are all paths that no route has.
"""

from collections.abc import Callable
from time import perf_counter

from django.http import HttpRequest, HttpResponse

from cachelayer.runtime.histograms import SLOW, histogram
from logs import spans

REQUESTS = "whatsai_http_request_seconds"
OTHER = "other"
# The beginnings of the paths that middleware answers, before Django looks for a route.
_BY_PREFIX = (
    ("/webhooks", "webhook"),
    ("/health", "health"),
    ("/readyz", "health"),
    ("/static/", "static"),
    ("/metrics", "metrics"),
)


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Count the duration of each request."""

    def answer(request: HttpRequest) -> HttpResponse:
        started = perf_counter()
        with spans.root("request") as span:
            response = get_response(request)
            route = route_of(request)
            span.describe(route, {"http.route": route, "http.response.status_code": response.status_code})
        histogram(REQUESTS, SLOW, f"{route} {response.status_code // 100}xx").observe(perf_counter() - started)
        return response

    return answer


def route_of(request: HttpRequest) -> str:
    """Return the name of the route that answered a request."""
    if request.resolver_match is not None:
        match = request.resolver_match
        return match.app_name or match.url_name or OTHER
    return next((name for prefix, name in _BY_PREFIX if request.path_info.startswith(prefix)), OTHER)
