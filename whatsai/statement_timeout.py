"""Limits how long PostgreSQL runs a statement of a web request, so that slow statements cannot block all threads.

Connections that are opened during a web request have the limit, because Django's connections belong to one thread.
Workers, commands and the background threads of a web process have none.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from psycopg.errors import QueryCanceled

_is_web_request: ContextVar[bool] = ContextVar("is_web_request", default=False)


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Limit the statements of the connections that are opened during a request."""
    connection_created.connect(limit_statements, dispatch_uid="whatsai.statement_timeout")

    def answer(request: HttpRequest) -> HttpResponse:
        token = _is_web_request.set(True)
        try:
            return get_response(request)
        finally:
            _is_web_request.reset(token)

    return answer


def limit_statements(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    """Set the limit of a new connection (a receiver of Django's `connection_created`)."""
    if connection.vendor == "postgresql" and _is_web_request.get():
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {settings.WEB_STATEMENT_SECONDS * 1000:.0f}")


def is_timeout(error: BaseException | None) -> bool:
    """Return whether PostgreSQL has ended a statement because of the limit."""
    return error is not None and isinstance(error.__cause__, QueryCanceled)
