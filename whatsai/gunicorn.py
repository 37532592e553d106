"""The server's settings: `gunicorn -c python:whatsai.gunicorn whatsai.wsgi` (docs/decisions/web-server.md says why).

One process with threads, because the embedded default keeps its cache and its ingestion in that process.
"""

import gc
import os
import sys
from typing import Any

from gunicorn.glogging import Logger

from logs.config import Options, build_dict_config, check_writable
from whatsai import environment


class NoAccessLogLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """No access log: its request lines would hold `?token=`. What was answered, the application logs itself."""

    access_log_enabled = False  # a `logconfig_dict` would switch it on


bind = "127.0.0.1:8000"
worker_class = "gthread"
workers = 1
threads = 8
preload_app = False

# Seconds without a sign of life from the worker's main loop; requests run in threads and may take longer.
timeout = 60
# Seconds that requests under way are given at SIGTERM; Evolution repeats what it got no answer to.
graceful_timeout = 20
# Evolution posts over kept-alive connections; a few idle seconds cost one descriptor each.
keepalive = 15

# Workers show they are alive through a file; in memory, a busy disk cannot make them look dead.
MEMORY = "/dev/shm"  # noqa: S108 - gunicorn makes a private, nameless file there
worker_tmp_dir = MEMORY if os.access(MEMORY, os.W_OK) else None

accesslog = None
logger_class = NoAccessLogLogger
control_socket_disable = True
# What the server says goes where everything goes; `--log-level` decides how much of it that is.
_logs = Options(**environment.read().logging)
check_writable(_logs.directory)
logconfig_dict = build_dict_config(_logs)


def post_worker_init(_worker: Any) -> None:
    """Let no collection look through what is loaded by now, and stays (called by gunicorn)."""
    gc.freeze()


def on_starting(server: Any) -> None:
    """Refuse, before anything is served, what the cache would refuse later (called by gunicorn)."""
    options = server.cfg
    if (options.workers > 1 or options.preload_app) and not environment.open_env().str("REDIS_URL", ""):
        sys.exit("configuration error: REDIS_URL: is empty; without a server there is one worker, and no preloading")
