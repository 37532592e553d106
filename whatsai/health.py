"""`/health/`: whether this process can serve, for load balancers and supervisors.

It is answered by a middleware, before everything else: probes come by address instead of by name, over plain HTTP,
without a session, and would be refused as an unknown host or redirected to HTTPS, which they count as a failure.
"""

from collections.abc import Callable
from typing import Literal

from django.core.cache import cache
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from redis.exceptions import RedisError

from cachelayer.runtime import runtime
from logs.contexts import Context

PATHS = ("/health", "/health/")
State = Literal["ok", "unavailable"]


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer requests for the state of health, and pass on all others."""

    def answer(request: HttpRequest) -> HttpResponse:
        if request.path_info not in PATHS:
            return get_response(request)
        return health_response() if request.method in ("GET", "HEAD") else HttpResponseNotAllowed(["GET", "HEAD"])

    return answer


def health_response() -> HttpResponse:
    """Return what answers and what does not: 503 without the database; without the cache, everything is only slower."""
    parts = {"database": check_database(), "cache": check_cache()}
    if parts["database"] != "ok":
        status, code = "unavailable", 503
    else:
        status, code = ("ok" if parts["cache"] == "ok" else "degraded"), 200
    return JsonResponse({"status": status, **parts}, status=code, headers={"Cache-Control": "no-store"})


def check_database() -> State:
    """Ask the database."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        Context.DATABASE.logger.exception("health: the database does not answer")
        return "unavailable"
    return "ok"


def check_cache() -> State:
    """Ask whether the cache answers; that it can be reached is not enough while this process does not believe it."""
    if not runtime.current().breaker.is_closed:
        return "unavailable"
    try:
        cache.get("health")
    except (RedisError, OSError):
        Context.CACHE.logger.warning("health: the cache does not answer", exc_info=True)
        return "unavailable"
    return "ok"
