"""Examines the database: whether it keeps what it has confirmed, has its schema, and has workers connected to it."""

import time
from collections.abc import Iterator, Mapping
from secrets import token_bytes

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from conversations.doctor.findings import Finding, judge_clock, ok, problem, warning
from conversations.ingest.notify import CHANNEL

WRITTEN_BYTES = 2**20
MIN_VERSION = 150000  # as PostgreSQL numbers its versions
# Setting of PostgreSQL → what happens without it.
DURABILITY = {
    "fsync": gettext_noop("a crash of the host can destroy the database"),
    "full_page_writes": gettext_noop("a crash of the host can destroy the database"),
    "synchronous_commit": gettext_noop(
        "a crash loses events that were confirmed to Evolution, which never sends them again"
    ),
}


def examine() -> Iterator[Finding]:
    """Examine the database, and say whether workers are connected to it."""
    try:
        if connection.vendor == "postgresql":
            yield from _examine_postgresql()
        else:
            yield warning(
                _("the database is SQLite, which is for one server process on one host; larger sites need PostgreSQL")
            )
        yield from examine_schema()
    except (DatabaseError, InterfaceError) as error:
        cause = " ".join(str(error).split())
        yield problem(_("the database does not answer: %(cause)s") % {"cause": cause})


def is_usable() -> bool:
    """Return whether the database answers and has its schema."""
    try:
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (DatabaseError, InterfaceError):
        return False


def _examine_postgresql() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        names = [*DURABILITY, "server_version", "server_version_num"]
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [names])
        settings = dict(cursor.fetchall())
        asked_at = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        ahead = float(cursor.fetchone()[0]) - (asked_at + time.time()) / 2
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = %s",
            [f"LISTEN {CHANNEL}"],
        )
        workers = cursor.fetchone()[0]
    yield ok(_("the database is PostgreSQL %(version)s") % {"version": settings["server_version"]})
    if int(settings["server_version_num"]) < MIN_VERSION:
        yield problem(_("PostgreSQL is too old; 15 or newer is needed"))
    yield from judge_durability(settings)
    yield from _examine_writing()
    yield judge_clock(_("the database"), ahead)
    yield judge_workers(workers)


def _examine_writing() -> Iterator[Finding]:
    """Write more than fits into the free space of a table, and undo it: small changes may succeed on a full disk."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT lo_from_bytea(0, %s)", [token_bytes(WRITTEN_BYTES)])
            transaction.set_rollback(True)
    except DatabaseError as error:
        cause = " ".join(str(error).split())
        yield problem(_("the database cannot be written: %(cause)s") % {"cause": cause})


def judge_durability(settings: Mapping[str, str]) -> Iterator[Finding]:
    """Judge whether PostgreSQL keeps what it has confirmed, by its settings."""
    for name, consequence in DURABILITY.items():
        if settings[name] == "off":
            yield problem(
                _("%(name)s is off in PostgreSQL: %(consequence)s") % {"name": name, "consequence": _(consequence)}
            )


def judge_workers(count: int) -> Finding:
    """Judge how many workers wait for events."""
    if count == 0:
        return problem(_("no worker is connected, so events wait; start two or more `manage.py ingest`"))
    if count == 1:
        return warning(_("one worker is connected; with a second one, events are applied while it restarts"))
    return ok(_("%(count)d workers are connected") % {"count": count})


def examine_schema() -> Iterator[Finding]:
    """Compare the migrations of the database with those of this version."""
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    unknown = executor.loader.applied_migrations.keys() - executor.loader.disk_migrations.keys()
    if missing:
        text = ngettext(
            "%(count)d migration is missing; run `manage.py migrate`",
            "%(count)d migrations are missing; run `manage.py migrate`",
            len(missing),
        )
        yield problem(text % {"count": len(missing)})
    if any(app in executor.loader.migrated_apps for app, _name in unknown):
        yield warning(_("the database has migrations of a newer version than this one"))
    if not missing:
        yield ok(_("all migrations have been applied"))
