"""Whose fault an error is: the database's, and then everything waits until it is over, or one event's."""

import traceback

from django.db import InterfaceError, OperationalError, connection

# Classes of SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html): the connection, resources,
# an operator's intervention, the system.
_PASSING = ("08", "53", "57", "58")
_READ_ONLY = "25006"  # a server that has become a replica
# Likewise of SQLite (https://www.sqlite.org/rescode.html).
_PASSING_HERE = ("SQLITE_BUSY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_LOCKED", "SQLITE_CANTOPEN")


def is_transient_db_error(error: BaseException) -> bool:
    """Say whether the database cannot work now, whatever it is asked."""
    state: str = getattr(error.__cause__, "sqlstate", None) or ""
    here: str = getattr(error.__cause__, "sqlite_errorname", "")
    if isinstance(error, InterfaceError) or state == _READ_ONLY:
        return True
    is_passing = state.startswith(_PASSING) or here.startswith(_PASSING_HERE)
    return isinstance(error, OperationalError) and (is_passing or not connection.is_usable())


def traceback_extra(error: BaseException) -> dict[str, str]:
    """Return, for a log, where an error was, and not what it says: databases quote rows."""
    return {"stack": "".join(traceback.format_tb(error.__traceback__))}
