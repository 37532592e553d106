"""Notices that the database was restarted or replaced, so that it may have lost commits that the cache still shows.

A PostgreSQL server may come back without its last commits: after a crash with `synchronous_commit = off`, as a standby
that was behind, or from a backup. So each new connection asks for the identity of the server. `CacheRuntime`
invalidates all entries if the identity has changed. The recovery thread of a server process connects every second.

SQLite is no server, and loses no commit while a process that uses it lives.
"""

from typing import Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from cachelayer.runtime.runtime import runtime
from logs.contexts import Context

# The start of the server, which is another one after a restart, a failover or a restore; and the last reset of the
# server's statistics, which also happens when the server has recovered from the crash of one of its processes. A
# standby has no identity: it becomes the database when it is promoted. The query needs no special privileges.
IDENTITY = """
SELECT concat(extract(epoch FROM pg_postmaster_start_time()), ' ',
              extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time()))
WHERE NOT pg_is_in_recovery()
"""

log = Context.CACHE.logger


def on_connection_created(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    """Compare the identity of the cached database with the last one (a receiver of Django's `connection_created`)."""
    if connection.alias != DEFAULT_DB_ALIAS or not runtime.is_open or runtime.bypasses_cache:
        return
    if identity := read_identity(connection):
        runtime.note_database(identity)


def read_identity(connection: BaseDatabaseWrapper) -> str:
    """Return the identity of a database server; "" for a standby, or if the database is not PostgreSQL.

    The query does not go through Django, because it belongs to no request.
    """
    if connection.vendor != "postgresql":
        return ""
    driver: Any = connection.connection
    try:
        with connection.wrap_database_errors, driver.cursor() as cursor:
            cursor.execute(IDENTITY)
            row = cursor.fetchone()
    except DatabaseError as error:
        log.error("Cache database UNIDENTIFIED: %s", type(error).__name__)  # noqa: TRY400 - a traceback may quote SQL rows
        return ""
    return str(row[0]) if row else ""
