"""The configuration of gunicorn: `gunicorn -c python:whatsai.gunicorn whatsai.wsgi`.

By default, gunicorn runs one worker process with threads, because without Redis the cache and the ingestion are in the
memory of one process. docs/decisions/web-server.md explains the values of this configuration.
"""

import gc
import os
import sys
from gettext import gettext as _
from typing import Any

from gunicorn.glogging import Logger

from logs.config import Options, build_dict_config, check_writable
from whatsai import command_line, environment, private_files
from whatsai.server import stop_signals

private_files.protect(environment.VAR)


class NoAccessLogLogger(Logger):  # type: ignore[misc]  # gunicorn ships no type hints
    """A logger without an access log, because the access log would contain `?token=`; the project logs responses."""

    access_log_enabled = False  # the setting `logconfig_dict` would enable the access log


bind = "127.0.0.1:8000"
worker_class = "whatsai.server.worker.Worker"
workers = 1
threads = 8
preload_app = False
umask = private_files.PRIVATE

# Gunicorn restarts a worker whose event loop sends no heartbeat for this many seconds. Requests may take longer,
# because they run in threads outside the event loop.
timeout = 60
# After SIGTERM, running requests have this many seconds to finish. Evolution repeats requests that got no response.
graceful_timeout = 20
asgi_loop = "asyncio"  # the worker sets how much one of asyncio's connections reads at once
# A client has this many seconds to send the head of its next request. Evolution reuses connections, and an idle
# connection costs only one file descriptor.
keepalive = 15
limit_request_line = 8190  # bytes; gunicorn's maximum: 200 ids of 19 digits in one parameter are 4,000
worker_connections = 2000  # if there are more, those that wait longest for their client are closed

# Gunicorn's workers send heartbeats through a file on a RAM disk, so that a busy disk cannot delay the heartbeats.
RAM_DISK = "/dev/shm"  # noqa: S108 - gunicorn creates a private, unnamed file in this folder
worker_tmp_dir = RAM_DISK if os.access(RAM_DISK, os.W_OK) else None

accesslog = None
logger_class = NoAccessLogLogger
control_socket_disable = True
# Gunicorn logs into the project's log files; the option `--log-level` sets the level of gunicorn's log records.
_logs = Options(**environment.read().logging)
check_writable(_logs.directory)
logconfig_dict = build_dict_config(_logs)


def post_worker_init(_worker: Any) -> None:
    """Exclude the objects loaded so far from garbage collection, because they live as long as the process.

    Gunicorn calls this hook in each worker process.
    """
    gc.freeze()


def worker_exit(_server: Any, _worker: Any) -> None:
    """Stop the background threads of a worker process, before Python forbids its thread pools to start anything.

    Gunicorn calls this hook in each worker process that ends, also in one that could not load the application.
    """
    startup = sys.modules.get("conversations.startup")
    if startup is not None:
        startup.stop()


def child_exit(_server: Any, worker: Any) -> None:
    """Forget the connections of a worker process that has ended.

    Gunicorn calls this hook in its master process.
    """
    worker.counts.set(worker.age, worker.counts.UNUSED)


def on_starting(server: Any) -> None:
    """Exit if several processes would start without Redis, because each process would have its own cache.

    Gunicorn calls this hook before it starts worker processes. They learn their number from the environment.
    """
    options = server.cfg
    os.environ["WEB_CONCURRENCY"] = str(options.workers)
    if (options.workers > 1 or options.preload_app) and not environment.open_env().str("REDIS_URL", ""):
        command_line.speak(environment.read_language())
        text = _("is empty; without Redis, run one worker and no preload_app")
        sys.exit(_("configuration error: %(error)s") % {"error": f"REDIS_URL: {text}"})
    stop_signals.guard_forks()


def when_ready(_server: Any) -> None:
    """Receive the signals that `make run` held back until gunicorn handles them.

    Gunicorn calls this hook in its master process before it starts workers.
    """
    stop_signals.let_through()
