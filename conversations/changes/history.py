"""Names the history of the log that this database continues, so that a position of another history is recognized.

After a restore or a failover, a database may have lost changes that a client has seen. Its later positions then stand
for other changes.

* PostgreSQL: a server, a recovery to a point in time, a promoted standby and a restored dump each have a new history,
  because it consists of the system identifier, the timeline, and the identity of the table.
* SQLite: a copy of the file continues the history of the original. There, each change has a random number, and a cursor
  contains that of its last change (`conversations.changes.log`).
"""

from hashlib import blake2b

from django.db import connection

from conversations.models import ChangeHistory

_ONLY_ROW = 1  # the primary key
_POSTGRESQL = """
    SELECT system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8), 'conversations_change'::regclass::oid
    FROM pg_control_system()
"""


def current_history() -> str:
    """Return the name of the present history, as 16 hexadecimal digits."""
    parts = (only_row().name.hex, *_server())
    return blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def only_row() -> ChangeHistory:
    """Return the row that names this database's log."""
    return ChangeHistory.objects.get_or_create(pk=_ONLY_ROW)[0]


def _server() -> tuple[object, ...]:
    if connection.vendor != "postgresql":
        return ()
    with connection.cursor() as cursor:
        cursor.execute(_POSTGRESQL)
        return tuple(cursor.fetchone())
