"""Examines the site as others reach it: its public address, the certificate, its folders and its settings."""

import datetime as dt
import json
import shutil
import socket
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks

from conversations.doctor.findings import Finding, judge_disk, ok, problem, warning
from conversations.evolution.server_url import is_loopback

TIMEOUT = 10.0  # seconds
MIN_CERTIFICATE_TIME = dt.timedelta(days=14)
HTTPS_PORT = 443


def examine() -> Iterator[Finding]:
    """Examine the site."""
    yield from _examine_settings()
    for folder in dict.fromkeys((Path(settings.LOG_DIR), Path(settings.MEDIA_ROOT))):
        yield from _examine_folder(folder)
    yield from _examine_address(settings.PUBLIC_URL)


def _examine_settings() -> Iterator[Finding]:
    """Report what Django's own checks find."""
    for message in checks.run_checks(include_deployment_checks=True):
        if message.level >= checks.WARNING and not message.is_silenced():
            level = problem if message.level >= checks.ERROR else warning
            yield level(f"{message.id}: {' '.join(message.msg.split())}")


def _examine_folder(folder: Path) -> Iterator[Finding]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        yield problem(f"cannot write to {folder}: {error.strerror}")
        return
    usage = shutil.disk_usage(folder)
    yield from judge_disk(str(folder), usage.free, usage.total)


def _examine_address(url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    if is_loopback(parts.hostname or ""):
        yield warning(f"PUBLIC_URL is {url}, which only this machine can reach")
    elif parts.scheme == "http":
        yield warning(f"PUBLIC_URL is {url}: without TLS, everybody between can read messages and tokens")
    try:
        with urllib.request.urlopen(f"{url}/health/", timeout=TIMEOUT) as answer:  # noqa: S310 - the settings' own http URL
            health = json.load(answer)
    except urllib.error.HTTPError as error:
        yield problem(f"{url}/health/ answers {error.code}; is the site running, and does the proxy lead to it?")
    except urllib.error.URLError as error:
        yield problem(f"{url} cannot be reached from this host: {error.reason}")
    except (OSError, ValueError) as error:
        yield problem(f"{url}/health/ does not answer as this site does: {error}")
    else:
        yield from judge_health(url, health)
        yield from _examine_certificate(url)


def judge_health(url: str, health: Any) -> Iterator[Finding]:
    """Judge the answer to a health check."""
    status = health.get("status") if isinstance(health, dict) else None
    if status == "ok":
        yield ok(f"the site answers at {url}")
    elif status == "degraded":
        yield warning(f"the site at {url} is degraded: {json.dumps(health)}")
    else:
        yield problem(f"{url}/health/ does not answer as this site does")


def _examine_certificate(url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    if parts.scheme != "https":
        return
    host = parts.hostname or ""
    address = (host, parts.port or HTTPS_PORT)
    with (
        socket.create_connection(address, timeout=TIMEOUT) as plain,
        ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secure,
    ):
        certificate = secure.getpeercert() or {}
    left = dt.timedelta(seconds=ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time())
    if left < MIN_CERTIFICATE_TIME:
        yield warning(f"the certificate of {host} ends in {left.days} days")
