"""Runs ingestion workers in processes or threads on the test database, until the test ends."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from conversations.ingest import notify
from conversations.ingest.worker.worker import Worker
from tests.waiting import TIMEOUT

INGEST_COMMAND = ("manage.py", "ingest")
STALLED_WORKER = ("-m", "tests.conversations.ingest.stalled_worker")


def database_url() -> str:
    """Return the URL of the PostgreSQL database of the current test."""
    database = connection.settings_dict
    return f"postgresql://{database['USER']}@{quote(database['HOST'], safe='')}:{database['PORT']}/{database['NAME']}"


@contextmanager
def run_process(*command: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a Python command in a process that uses the test database; kill the process at the end of the block."""
    environ = os.environ | {"DATABASE_URL": database_url(), "PYTHONUNBUFFERED": "1"} | environment
    running = subprocess.Popen(  # noqa: S603 - the command is a program of the project
        [sys.executable, *command], cwd=settings.BASE_DIR, env=environ, stdout=subprocess.PIPE, text=True
    )
    with running:
        try:
            yield running
        finally:
            running.kill()


@contextmanager
def run_workers(*workers: Worker) -> Iterator[None]:
    """Run each worker in its own thread during the block; stop the workers at the end."""

    def work(worker: Worker) -> None:
        try:
            worker.run()
        finally:
            connection.close()

    running = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
        notify.notify_local()
        notify.notify_postgres()
        for thread in running:
            thread.join(TIMEOUT)
            assert not thread.is_alive()


def listener_pids() -> list[int]:
    """Return the PIDs of the PostgreSQL backends whose connections listen for notifications."""
    with connection.cursor() as cursor:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = %s"
        cursor.execute(query, [f"LISTEN {notify.CHANNEL}"])
        return [pid for (pid,) in cursor.fetchall()]
