"""Logs SQL statements that are slow or fail to the context DATABASE, without their parameters.

`install` adds an execute wrapper to every connection that Django opens.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.conf import settings
from django.db import Error, IntegrityError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from logs.contexts import Context

DEFAULT_SLOW_MS = 200.0  # of the setting `LOGS_SLOW_SQL_MS`
MAX_SQL_CHARS = 2000  # characters of a statement that are logged

log = Context.DATABASE.logger
Execute = Callable[[str, Any, bool, dict[str, Any]], Any]


def install() -> None:
    """Log the statements of each connection from its creation on."""
    connection_created.connect(add_logger, dispatch_uid="logs")


def add_logger(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    """Add a `SlowQueryLogger` to a connection that has none (a receiver of `connection_created`)."""
    if not any(isinstance(wrapper, SlowQueryLogger) for wrapper in connection.execute_wrappers):
        # Insert as the outermost: the end of an `execute_wrapper` block pops the last wrapper, whichever it is.
        connection.execute_wrappers.insert(0, SlowQueryLogger(connection.alias))


class SlowQueryLogger:
    """An execute wrapper that times the statements of one connection."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self.slow_seconds = getattr(settings, "LOGS_SLOW_SQL_MS", DEFAULT_SLOW_MS) / 1000

    def __call__(self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:  # noqa: FBT001 - Django's signature
        """Execute a statement, and log it if it is slow or fails.

        Raises:
            Error: the database's error; exceptions of other wrappers pass through too.
        """
        started = perf_counter()
        try:
            result = execute(sql, params, many, context)
        except Error as error:
            # IntegrityError is how concurrent writers learn that a row exists already.
            level = log.warning if isinstance(error, IntegrityError) else log.error
            level("SQL failed: %s", type(error).__name__, extra=self._fields(sql, started), exc_info=True)
            raise
        if perf_counter() - started >= self.slow_seconds:
            log.warning("SQL slow", extra=self._fields(sql, started))
        return result

    def _fields(self, sql: str, started: float) -> dict[str, Any]:
        duration = round((perf_counter() - started) * 1000, 2)
        return {"sql": sql[:MAX_SQL_CHARS], "duration_ms": duration, "database": self._alias}
