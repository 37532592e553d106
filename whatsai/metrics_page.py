"""The page `/metrics`: the metrics of the whole site for Prometheus, for requests with the key `METRICS_KEY`.

Without `METRICS_KEY` the page does not exist, because metrics name the numbers and tell how busy they are. A middleware
answers before Django checks the host and redirects to HTTPS, because Prometheus connects to an address in the network.
"""

import hmac
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.translation import gettext as _

from conversations.monitoring import exposition, reading
from conversations.monitoring.table import METRICS

PATH = "/metrics"


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer requests for the metrics, and pass all other requests to the next middleware."""

    def answer(request: HttpRequest) -> HttpResponse:
        if request.path_info != PATH or not settings.METRICS_KEY:
            return get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return metrics_response() if _has_key(request) else _refusal()

    return answer


def metrics_response() -> HttpResponse:
    """Return all metrics in the text format of Prometheus.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    state = reading.read()
    text = exposition.render((metric, metric.samples(state)) for metric in METRICS)
    return HttpResponse(text, content_type=exposition.CONTENT_TYPE, headers={"Cache-Control": "no-store"})


def _has_key(request: HttpRequest) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), settings.METRICS_KEY.encode())


def _refusal() -> HttpResponse:
    text = _("The header must be: Authorization: Bearer METRICS_KEY") + "\n"
    headers = {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"}
    return HttpResponse(text, status=401, content_type="text/plain; charset=utf-8", headers=headers)
