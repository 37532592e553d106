"""Runs the servers of the production topology for a benchmark."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import isolation, servers
from tests.devstack import folders
from tests.devstack import servers as stores


@contextmanager
def production_servers(settings: tuple[str, ...], folder: Path | None = None) -> Iterator[None]:
    """Run PostgreSQL with some settings, and Valkey; configure Django to use both servers, and migrate.

    Args:
        settings: the settings of PostgreSQL.
        folder: where PostgreSQL keeps its data for the next run; None for a temporary folder.
    """
    with folders.short_tempdir() as sockets, servers.valkey() as redis_url:
        server, database_url = stores.postgresql(folder or sockets, sockets, settings)
        with servers.running(server):
            os.environ |= {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
            isolation.set_up(database=database_url)
            from django.core.management import call_command  # noqa: PLC0415 - the import needs configured Django settings

            from cachelayer import startup  # noqa: PLC0415 - the import needs configured Django settings

            call_command("migrate", verbosity=0)
            startup.start()
            yield
