"""The configuration of gunicorn: `gunicorn -c python:whatsai.gunicorn whatsai.wsgi`.

The default is one process with threads, because without Redis the cache and the ingestion live in that process.
docs/decisions/web-server.md explains the choices.
"""

import gc
import os
import sys
from typing import Any

from gunicorn.glogging import Logger

from logs.config import Options, build_dict_config, check_writable
from whatsai import environment


class NoAccessLogLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """Writes no access log: its request lines would contain `?token=`. The application logs responses itself."""

    access_log_enabled = False  # `logconfig_dict` would enable it


bind = "127.0.0.1:8000"
worker_class = "gthread"
workers = 1
threads = 8
preload_app = False

# Seconds without a heartbeat of the worker's main loop; requests run in threads and may take longer.
timeout = 60
# Seconds that running requests may still take after SIGTERM; Evolution repeats requests without a response.
graceful_timeout = 20
# Evolution keeps connections alive; an idle connection costs only one file descriptor.
keepalive = 15

# Workers send their heartbeat through a file; on a RAM disk, a busy disk cannot delay it.
RAM_DISK = "/dev/shm"  # noqa: S108 - gunicorn creates a private, unnamed file there
worker_tmp_dir = RAM_DISK if os.access(RAM_DISK, os.W_OK) else None

accesslog = None
logger_class = NoAccessLogLogger
control_socket_disable = True
# gunicorn logs into the project's log files; `--log-level` sets the level of its records.
_logs = Options(**environment.read().logging)
check_writable(_logs.directory)
logconfig_dict = build_dict_config(_logs)


def post_worker_init(_worker: Any) -> None:
    """Exclude all objects loaded so far from garbage collection, because they stay (called by gunicorn)."""
    gc.freeze()


def on_starting(server: Any) -> None:
    """Exit at once if several processes would share the in-process cache (called by gunicorn)."""
    options = server.cfg
    if (options.workers > 1 or options.preload_app) and not environment.open_env().str("REDIS_URL", ""):
        sys.exit("configuration error: REDIS_URL: is empty; without Redis, run one worker and no preload_app")
