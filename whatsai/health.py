"""The health check at `/health/`: reports to load balancers whether this process can serve requests.

A middleware answers health checks before Django checks the host and redirects to HTTPS. Load balancers connect to an IP
address over plain HTTP, and would count a rejected host or a redirect as a failure. During an outage, failed checks are
logged at a bounded rate, because probes come every few seconds and anybody can send them.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse

from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.runtime.runtime import get_runtime
from cachelayer.stores.base import StoreDown, StoreEmptied
from logs.contexts import Context
from logs.line_limit import line_limit

PATHS = ("/health", "/health/")
OUTAGES = (OperationalError, InterfaceError, StoreDown)  # errors of a server that is stopped, full or unreachable
State = Literal["ok", "unavailable"]


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer health checks, and pass all other requests to the next middleware."""

    def answer(request: HttpRequest) -> HttpResponse:
        if request.path_info not in PATHS:
            return get_response(request)
        return health_response() if request.method in ("GET", "HEAD") else HttpResponseNotAllowed(["GET", "HEAD"])

    return answer


def health_response() -> HttpResponse:
    """Return the state of the database and the cache.

    The HTTP status is 503 if the database is unavailable. The status is 200 if only the cache is unavailable, because
    the process can then serve requests, but more slowly.
    """
    parts = {"database": check_database(), "cache": check_cache()}
    if parts["database"] != "ok":
        status, code = "unavailable", 503
    else:
        status, code = ("ok" if parts["cache"] == "ok" else "degraded"), 200
    return JsonResponse({"status": status, **parts}, status=code, headers={"Cache-Control": "no-store"})


def check_database() -> State:
    """Return "ok" if the database answers a query, and "unavailable" otherwise."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        _log_outage(Context.DATABASE, logging.ERROR, "Health FAILED: the database does not answer", error)
        return "unavailable"
    return "ok"


def check_cache() -> State:
    """Return "ok" if the shared cache answers and the circuit breaker of this process is closed."""
    runtime = get_runtime()
    if not runtime.breaker.is_closed:
        return "unavailable"
    try:
        with suppress(StoreEmptied):  # the server answers, and the next read initializes it
            runtime.store.read([], [GLOBAL_TAG])
    except StoreDown as error:
        _log_outage(Context.CACHE, logging.WARNING, "Health DEGRADED: the shared cache does not answer", error)
        return "unavailable"
    return "ok"


def _log_outage(context: Context, level: int, event: str, error: Exception) -> None:
    """Log why a part is unavailable in one line; only an unexpected error has a traceback."""
    left_out = line_limit.admit(("health", context))
    if left_out is not None:
        cause = str(error).partition("\n")[0]
        exc_info = None if isinstance(error, OUTAGES) else error
        context.logger.log(level, "%s: %s", event, cause, exc_info=exc_info, extra=left_out)
