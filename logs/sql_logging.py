"""Logs slow and failing SQL statements to the log context DATABASE, without the statements' parameters.

`install` adds an execute wrapper to every connection that Django opens.
"""

import re
from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.conf import settings
from django.db import Error, IntegrityError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from logs import spans
from logs.contexts import Context

DEFAULT_SLOW_MS = 200.0  # the default of the setting `LOGS_SLOW_SQL_MS`
MAX_SQL_CHARS = 2000  # how many characters of an SQL statement are logged
# A literal in an SQL statement, also one that is cut off at the end: a text, or a number.
LITERAL = re.compile(r"""'(?:[^']|'')*(?:'|$)|\$(\w*)\$.*?(?:\$\1\$|$)|\b\d+(?:\.\d+)?\b""", re.DOTALL)

log = Context.DATABASE.logger
Execute = Callable[[str, Any, bool, dict[str, Any]], Any]
observers: list[Callable[[float], None]] = []  # each gets the seconds that each statement took, also a failed one


def install() -> None:
    """Log the SQL statements of every database connection that Django opens from now on."""
    connection_created.connect(add_logger, dispatch_uid="logs")


def add_logger(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    """Add a `SlowQueryLogger` to a connection without one (a receiver of the Django signal `connection_created`)."""
    if not any(isinstance(wrapper, SlowQueryLogger) for wrapper in connection.execute_wrappers):
        # Insert the logger as the first wrapper, because the end of an `execute_wrapper` block removes the last one.
        connection.execute_wrappers.insert(0, SlowQueryLogger(connection.alias))


class SlowQueryLogger:
    """An execute wrapper that times the SQL statements of one database connection."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self.slow_seconds = getattr(settings, "LOGS_SLOW_SQL_MS", DEFAULT_SLOW_MS) / 1000

    def __call__(self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:  # noqa: FBT001 - Django defines this signature
        """Execute an SQL statement, and log the statement if it is slow or fails.

        Raises:
            Error: the database raised this error; exceptions of other execute wrappers are not caught either.
        """
        started = perf_counter()
        try:
            result = execute(sql, params, many, context)
        except Error as error:
            # An IntegrityError is only a warning: it tells concurrent writers that a row exists already.
            level = log.warning if isinstance(error, IntegrityError) else log.error
            level("SQL failed: %s", type(error).__name__, extra=self._fields(sql, started), exc_info=True)
            raise
        finally:
            for observe in observers:
                observe(perf_counter() - started)
            if spans.recorder is not None:
                self._record(spans.recorder, sql, context, perf_counter() - started)
        if perf_counter() - started >= self.slow_seconds:
            log.warning("SQL slow", extra=self._fields(sql, started))
        return result

    def _record(self, recorder: spans.Recorder, sql: str, context: dict[str, Any], seconds: float) -> None:
        statement = LITERAL.sub("?", sql[:MAX_SQL_CHARS])
        operation = next(iter(statement.split(None, 1)), "")
        attributes = {"db.system.name": context["connection"].vendor, "db.operation.name": operation}
        recorder.past(f"SQL {operation}", seconds, {**attributes, "db.query.text": statement})

    def _fields(self, sql: str, started: float) -> dict[str, Any]:
        duration = round((perf_counter() - started) * 1000, 2)
        return {"sql": sql[:MAX_SQL_CHARS], "duration_ms": duration, "database": self._alias}
