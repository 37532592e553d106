"""`/health/`: whether this process can serve requests, for load balancers and supervisors.

A middleware answers it before all other middleware. Probes use an IP address and plain HTTP: Django would reject the
unknown host or redirect to HTTPS, and the load balancer would count that as a failure.
"""

from collections.abc import Callable
from typing import Literal

from django.core.cache import cache
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from redis.exceptions import RedisError

from cachelayer.runtime.runtime import get_runtime
from logs.contexts import Context

PATHS = ("/health", "/health/")
State = Literal["ok", "unavailable"]


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer health checks; pass on all other requests."""

    def answer(request: HttpRequest) -> HttpResponse:
        if request.path_info not in PATHS:
            return get_response(request)
        return health_response() if request.method in ("GET", "HEAD") else HttpResponseNotAllowed(["GET", "HEAD"])

    return answer


def health_response() -> HttpResponse:
    """Return the state of the database and the cache: 503 without the database; 200, only slower, without the cache."""
    parts = {"database": check_database(), "cache": check_cache()}
    if parts["database"] != "ok":
        status, code = "unavailable", 503
    else:
        status, code = ("ok" if parts["cache"] == "ok" else "degraded"), 200
    return JsonResponse({"status": status, **parts}, status=code, headers={"Cache-Control": "no-store"})


def check_database() -> State:
    """Return whether the database answers a query."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        Context.DATABASE.logger.exception("Health FAILED: the database does not answer")
        return "unavailable"
    return "ok"


def check_cache() -> State:
    """Return whether the shared cache answers and this process uses it, that is, the circuit breaker is closed."""
    if not get_runtime().breaker.is_closed:
        return "unavailable"
    try:
        cache.get("health")
    except (RedisError, OSError):
        Context.CACHE.logger.warning("Health DEGRADED: the shared cache does not answer", exc_info=True)
        return "unavailable"
    return "ok"
