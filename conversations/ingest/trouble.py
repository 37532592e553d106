"""Whose fault an error is: the database's, and then everything waits until it is over, or one event's."""

import traceback

from django.db import InterfaceError, OperationalError, connection

# Classes of SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html): the connection, resources,
# an operator's intervention, the system.
_PASSING = ("08", "53", "57", "58")
_READ_ONLY = "25006"  # a server that has become a replica


def is_of_database(error: BaseException) -> bool:
    """Say whether the database cannot work now, whatever it is asked."""
    state: str = getattr(error.__cause__, "sqlstate", None) or ""
    if isinstance(error, InterfaceError) or state == _READ_ONLY:
        return True
    return isinstance(error, OperationalError) and (state.startswith(_PASSING) or not connection.is_usable())


def stack_of(error: BaseException) -> str:
    """Return where an error was, and not what it says: databases quote rows."""
    return "".join(traceback.format_tb(error.__traceback__))
