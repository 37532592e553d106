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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.db import connection
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from conversations.doctor.findings import Finding, judge_disk, ok, problem, warning
from conversations.evolution.server_url import is_loopback
from conversations.webhooks import reachability

TIMEOUT = 10.0  # seconds
MIN_CERTIFICATE_TIME = 14 * 24 * 3600.0  # seconds before its end
MIN_CERTIFICATE_SHARE = 0.25  # of its whole time, as some live for hours only; proxies renew them when a third is left
HTTPS_PORT = 443


def examine() -> Iterator[Finding]:
    """Examine the site."""
    yield from _examine_settings()
    for folder in dict.fromkeys(_folders()):
        yield from _examine_folder(folder)
    if settings.ALLOWED_HOSTS or not settings.DEBUG:
        yield from judge_host(settings.PUBLIC_URL, settings.ALLOWED_HOSTS)
    yield from _examine_address(settings.PUBLIC_URL)


def _examine_settings() -> Iterator[Finding]:
    """Report what Django's own checks find."""
    for message in checks.run_checks(include_deployment_checks=True):
        if message.level >= checks.WARNING and not message.is_silenced():
            level = problem if message.level >= checks.ERROR else warning
            yield level(f"{message.id}: {' '.join(message.msg.split())}")


def _folders() -> Iterator[Path]:
    yield Path(settings.LOG_DIR)
    yield Path(settings.MEDIA_ROOT)
    if connection.vendor == "sqlite" and not connection.is_in_memory_db():  # type: ignore[attr-defined]  # only of SQLite
        yield Path(connection.settings_dict["NAME"]).parent


def _examine_folder(folder: Path) -> Iterator[Finding]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        yield problem(_("cannot write to %(folder)s: %(error)s") % {"folder": folder, "error": error.strerror})
        return
    usage = shutil.disk_usage(folder)
    yield from judge_disk(str(folder), usage.free, usage.total)


def _examine_address(url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    if is_loopback(parts.hostname or ""):
        yield warning(_("PUBLIC_URL is %(url)s, which only this machine can reach") % {"url": url})
    elif parts.scheme == "http":
        yield warning(
            _("PUBLIC_URL is %(url)s: without TLS, everybody between can read messages and tokens") % {"url": url}
        )
    try:
        with urllib.request.urlopen(f"{url}/health/", timeout=TIMEOUT) as answer:  # noqa: S310 - the settings' own http URL
            health = json.load(answer)
    except urllib.error.HTTPError as error:
        text = _("%(url)s/health/ answers %(code)d; is the site running, and does the proxy lead to it?")
        yield problem(text % {"url": url, "code": error.code})
    except urllib.error.URLError as error:
        yield problem(_("%(url)s cannot be reached from this host: %(error)s") % {"url": url, "error": error.reason})
    except (OSError, ValueError) as error:
        yield problem(_("%(url)s/health/ does not answer as this site does: %(error)s") % {"url": url, "error": error})
    else:
        yield from judge_health(url, health)
        yield from _examine_certificate(url)


def judge_host(url: str, allowed_hosts: Sequence[str]) -> Iterator[Finding]:
    """Judge whether people can open the site at its address."""
    yield from map(problem, reachability.host_warnings(url, allowed_hosts))


def judge_health(url: str, health: Any) -> Iterator[Finding]:
    """Judge the answer to a health check."""
    status = health.get("status") if isinstance(health, dict) else None
    if status == "ok":
        yield ok(_("the site answers at %(url)s") % {"url": url})
    elif status == "degraded":
        yield warning(_("the site at %(url)s is degraded: %(state)s") % {"url": url, "state": json.dumps(health)})
    else:
        yield problem(_("%(url)s/health/ does not answer as this site does") % {"url": url})


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
    begin, end = (ssl.cert_time_to_seconds(str(certificate[name])) for name in ("notBefore", "notAfter"))
    yield from judge_certificate(host, begin, end, time.time())


def judge_certificate(host: str, begin: float, end: float, now: float) -> Iterator[Finding]:
    """Judge whether a certificate should have been renewed; the three times are seconds since the epoch."""
    if end - now < min(MIN_CERTIFICATE_TIME, MIN_CERTIFICATE_SHARE * (end - begin)):
        moment = date_format(dt.datetime.fromtimestamp(end, dt.UTC), "SHORT_DATETIME_FORMAT")
        yield warning(
            _("the certificate of %(host)s ends at %(time)s UTC, and was not renewed yet")
            % {"host": host, "time": moment}
        )
