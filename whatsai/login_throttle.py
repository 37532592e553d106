"""Limits the failed logins of an address, an account and a known browser, and logs failed logins at a bounded rate.

The form that changes a password asks for the old one, so a thief of a session could guess it there. Wrong guesses in
this form count for the session, and not for the account: its owner can still log in elsewhere.

The counts are in the memory of this process: they need no database or Redis, so that an outage opens no door. With N
server processes an attacker has N times the attempts.

The failed logins of a browser in which the account has logged in before count for this browser alone, so that others
cannot keep the owner of an account out.
"""

import threading
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import Any

from django.contrib.auth.signals import user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from conversations.api.client_address import client_address, client_network
from logs.contexts import Context
from logs.line_limit import line_limit
from whatsai.known_browsers import known_browser

WINDOW = 900.0  # seconds; failures are forgotten this long after the first one
# An account is allowed more failures than an address, because anybody can cause them.
ADDRESS_LIMIT = 10
ACCOUNT_LIMIT = 30
MAX_NAME = 150  # characters of an account's name; no account has a longer one
BROWSER_LIMIT = 10
SESSION_LIMIT = 10
MAX_KEYS = 10_000  # addresses, accounts, browsers and sessions that are remembered; the oldest is forgotten first

Key = tuple[str, str]


@dataclass
class _Failures:
    since: float
    count: int = 0


class FailedLogins:
    """Counts failed logins by key within `WINDOW` seconds."""

    def __init__(self) -> None:
        self._failures: OrderedDict[Key, _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, key: Key) -> None:
        """Count one failed login."""
        now = monotonic()
        with self._lock:
            failures = self._failures.get(key)
            if failures is None or now - failures.since >= WINDOW:
                self._failures.pop(key, None)
                failures = self._failures[key] = _Failures(now)
            failures.count += 1
            while len(self._failures) > MAX_KEYS:
                self._failures.popitem(last=False)

    def seconds_to_wait(self, key: Key, limit: int) -> float:
        """Return after how many seconds the next login may be tried: 0 below `limit` failures."""
        with self._lock:
            failures = self._failures.get(key)
            if failures is None or failures.count < limit:
                return 0.0
            return max(failures.since + WINDOW - monotonic(), 0.0)

    def reset(self) -> None:
        """Forget all failed logins."""
        with self._lock:
            self._failures.clear()


failed_logins = FailedLogins()


def seconds_to_wait(request: HttpRequest, account: str) -> float:
    """Return after how many seconds this client may try to log in to the account; 0 for now."""
    return max(failed_logins.seconds_to_wait(key, limit) for key, limit in _limits(request, account).items())


def seconds_to_wait_for_change(request: HttpRequest) -> float:
    """Return after how many seconds the password may be changed in this session; 0 for now."""
    return failed_logins.seconds_to_wait(_session(request), SESSION_LIMIT)


def count_failed_change(request: HttpRequest) -> None:
    """Count and log that a password was not changed."""
    failed_logins.add(_session(request))
    _log(request, "Password change FAILED")


@receiver(user_login_failed)
def count_failed_login(credentials: dict[str, Any], request: HttpRequest | None = None, **_signal: Any) -> None:
    """Count and log a failed login (a receiver of Django's signal); the log does not contain the given name."""
    if request is None:
        return
    for key in _limits(request, str(credentials.get("username", ""))):
        failed_logins.add(key)
    _log(request, "Login FAILED")


def _log(request: HttpRequest, text: str) -> None:
    left_out = line_limit.admit("logins")
    if left_out is not None:
        Context.GENERAL.logger.warning(text, extra={"address": client_address(request), **left_out})


def account_of(name: str) -> str:
    """Return one name for all names that Django's login form normalizes to the same name."""
    return unicodedata.normalize("NFKC", name.strip()[:MAX_NAME])


def _limits(request: HttpRequest, name: str) -> dict[Key, int]:
    """Return the keys that a failed login counts for, and how many failures each is allowed."""
    account = account_of(name)
    if browser := known_browser(request, account):
        return {("browser", browser): BROWSER_LIMIT}
    return {("address", client_network(request)): ADDRESS_LIMIT, ("account", account): ACCOUNT_LIMIT}


def _session(request: HttpRequest) -> Key:
    return "session", str(request.session.session_key)
