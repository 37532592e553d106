"""What the database is asked for and takes long, or fails: a line each, to DATABASE. Never with parameters.

`watch` wraps every connection that Django makes.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.conf import settings
from django.db import Error, IntegrityError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from logs.contexts import Context

SLOW_MS = 200.0  # the default of `LOGS_SLOW_SQL_MS`
LONGEST = 2000  # characters of a statement

log = Context.DATABASE.logger
Execute = Callable[[str, Any, bool, dict[str, Any]], Any]


def install() -> None:
    """Watch each connection from its making on."""
    connection_created.connect(_watch, dispatch_uid="logs")


def _watch(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    if not any(isinstance(one, SlowQueryLogger) for one in connection.execute_wrappers):
        # Around all others: whoever has put one there until the end of a block takes the last one away again.
        connection.execute_wrappers.insert(0, SlowQueryLogger(connection.alias))


class SlowQueryLogger:
    """Times the statements of one connection."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._slow = getattr(settings, "LOGS_SLOW_SQL_MS", SLOW_MS) / 1000

    def __call__(self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:  # noqa: FBT001 - Django's
        """Execute a statement, and say so if it is slow or fails.

        Raises:
            Error: the database's; and whatever a wrapper of someone else raises.
        """
        began = perf_counter()
        try:
            result = execute(sql, params, many, context)
        except Error as error:
            # That a row is there already is how writers who race each other learn of it.
            level = log.warning if isinstance(error, IntegrityError) else log.error
            level("SQL failed: %s", type(error).__name__, extra=self._about(sql, began), exc_info=True)
            raise
        if perf_counter() - began >= self._slow:
            log.warning("SQL slow", extra=self._about(sql, began))
        return result

    def _about(self, sql: str, began: float) -> dict[str, Any]:
        duration = round((perf_counter() - began) * 1000, 2)
        return {"sql": sql[:LONGEST], "duration_ms": duration, "database": self._alias}
