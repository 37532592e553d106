"""Describes the machine on which a benchmark runs: number of cores and versions of the software."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import redis
from django.db import connection

PACKAGES = ("Django", "psycopg", "redis", "django-redis", "django-cacheops", "django-cachalot")


def describe() -> str:
    """Return one line that names the cores and the versions of the servers and packages."""
    versions = [f"Python {platform.python_version()}", *_node(), *_servers(), *_packages()]
    return f"{os.cpu_count()} cores, {platform.system()} on {platform.machine()}. {', '.join(versions)}."


def _node() -> Iterator[str]:
    node = shutil.which("node")
    if node:
        result = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        yield f"Node {result.stdout.strip().removeprefix('v')}"


def _servers() -> Iterator[str]:
    connection.ensure_connection()
    yield f"PostgreSQL {connection.cursor().connection.info.server_version // 10000}"
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        yield f"Valkey {client.info('server')['valkey_version']}"


def _packages() -> Iterator[str]:
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
