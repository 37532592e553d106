"""Distinguishes database outages, after which a whole batch is retried, from errors that a single event causes."""

import traceback

from django.db import InterfaceError, OperationalError, connection

# SQLSTATE classes of outages (https://www.postgresql.org/docs/current/errcodes-appendix.html): connection exception,
# insufficient resources, operator intervention, system error.
_TRANSIENT_SQLSTATE_CLASSES = ("08", "53", "57", "58")
_READ_ONLY_SQLSTATE = "25006"  # SQLSTATE of a write to a server that has become a replica
# Names of SQLite errors after which a retry can succeed (https://www.sqlite.org/rescode.html).
_TRANSIENT_SQLITE_ERRORS = ("SQLITE_BUSY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_LOCKED", "SQLITE_CANTOPEN")


def is_transient_db_error(error: BaseException) -> bool:
    """Return whether an error shows that the database is unavailable, so that any other statement would fail too."""
    sqlstate: str = getattr(error.__cause__, "sqlstate", None) or ""
    sqlite_error: str = getattr(error.__cause__, "sqlite_errorname", "")
    if isinstance(error, InterfaceError) or sqlstate == _READ_ONLY_SQLSTATE:
        return True
    is_transient = sqlstate.startswith(_TRANSIENT_SQLSTATE_CLASSES) or sqlite_error.startswith(_TRANSIENT_SQLITE_ERRORS)
    return isinstance(error, OperationalError) and (is_transient or not connection.is_usable())


def traceback_extra(error: BaseException) -> dict[str, str]:
    """Return the log field `stack`: the traceback without the error text, in which databases may quote row values."""
    return {"stack": "".join(traceback.format_tb(error.__traceback__))}
