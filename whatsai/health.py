"""The health checks: `/health/` and `/readyz` report whether this process can serve, and `/healthz` whether it lives.

`/healthz` asks no other server. A supervisor restarts the processes that fail it, and a restart mends no database.
A middleware answers health checks before Django checks the host and redirects to HTTPS. Load balancers connect to an IP
address over plain HTTP, and would count a rejected host or a redirect as a failure. During an outage, failed checks are
logged at a bounded rate, because probes come every few seconds and anybody can send them.

Our web server runs health checks in a thread of their own, so they also report how many threads are stuck in requests.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, Protocol

from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse

from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.runtime.runtime import get_runtime
from cachelayer.stores.base import StoreDown, StoreEmptied
from logs.contexts import Context
from logs.line_limit import line_limit

OUTAGES = (OperationalError, InterfaceError, StoreDown)  # errors of a server that is stopped, full or unreachable
STUCK_SECONDS = 60.0  # a thread that runs one request for so long is stuck; Evolution waits 30 s for an answer
State = Literal["ok", "degraded", "unavailable"]
Check = Literal["readiness", "liveness"]
PATHS: dict[str, Check] = {
    "/health": "readiness",
    "/health/": "readiness",
    "/readyz": "readiness",
    "/healthz": "liveness",
}


class Threads(Protocol):
    """The threads of this process that run requests."""

    count: int

    def count_stuck(self, seconds: float) -> int:
        """Return how many threads have run one request for at least `seconds`."""


_watched: list[Threads] = []


def watch(threads: Threads) -> None:
    """Report from now on whether the threads of this process are stuck; the web server calls this."""
    _watched[:] = [threads]


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer health checks, and pass all other requests to the next middleware."""

    def answer(request: HttpRequest) -> HttpResponse:
        check = PATHS.get(request.path_info)
        if check is None:
            return get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return health_response() if check == "readiness" else liveness_response()

    return answer


def health_response() -> HttpResponse:
    """Return the state of the database, the cache and the threads that run requests.

    The HTTP status is 503 if the database is unavailable or all threads are stuck. The status is 200 if only the cache
    is unavailable or some threads are stuck, because the process can then serve requests, but more slowly.
    """
    parts = {"database": check_database(), "cache": check_cache(), "requests": check_requests()}
    if "unavailable" in (parts["database"], parts["requests"]):
        status, code = "unavailable", 503
    else:
        status, code = ("ok" if set(parts.values()) == {"ok"} else "degraded"), 200
    return JsonResponse({"status": status, **parts}, status=code, headers={"Cache-Control": "no-store"})


def liveness_response() -> HttpResponse:
    """Return whether the process answers. The HTTP status is 503 if all threads that run requests are stuck."""
    requests = check_requests()
    code = 503 if requests == "unavailable" else 200
    return JsonResponse({"status": requests, "requests": requests}, status=code, headers={"Cache-Control": "no-store"})


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


def check_requests() -> State:
    """Return "ok" if no thread is stuck, "unavailable" if all are, and "degraded" otherwise."""
    for threads in _watched:
        stuck = threads.count_stuck(STUCK_SECONDS)
        if stuck:
            event = (
                f"Health DEGRADED: {stuck} of {threads.count} threads have run one request for {STUCK_SECONDS:.0f} s"
            )
            _log_bounded(Context.GENERAL, logging.WARNING, event)
            return "degraded" if stuck < threads.count else "unavailable"
    return "ok"


def _log_outage(context: Context, level: int, event: str, error: Exception) -> None:
    """Log why a part is unavailable in one line; only an unexpected error has a traceback."""
    cause = str(error).partition("\n")[0]
    _log_bounded(context, level, f"{event}: {cause}", None if isinstance(error, OUTAGES) else error)


def _log_bounded(context: Context, level: int, line: str, exc_info: Exception | None = None) -> None:
    left_out = line_limit.admit(("health", context))
    if left_out is not None:
        context.logger.log(level, "%s", line, exc_info=exc_info, extra=left_out)
