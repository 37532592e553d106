"""Recognizes the browsers in which an account has logged in before, by a signed cookie.

Anybody can cause failed logins of an account. They keep its owner out elsewhere, but not in these browsers.
"""

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

COOKIE = "known_browser"
SALT = "whatsai.known_browsers"
MAX_AGE = 180 * 24 * 3600  # seconds since the last login
ACCOUNT_CHARS = 32  # the first characters of the cookie's value; they stand for the account


def remember(response: HttpResponse, account: str) -> None:
    """Let the response to a login tell the browser that it is known; each login gives another value."""
    response.set_signed_cookie(
        COOKIE,
        _hash(account) + secrets.token_hex(8),
        salt=SALT,
        max_age=MAX_AGE,
        path=reverse("admin:index"),  # the form that changes a password takes turns by it, too
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def known_browser(request: HttpRequest, account: str) -> str:
    """Return the name of the browser if the account has logged in there before, else ""."""
    value = signed_value(request)
    return value if constant_time_compare(value[:ACCOUNT_CHARS], _hash(account)) else ""


def signed_value(request: HttpRequest) -> str:
    """Return the name of the browser if any account has logged in there before, else ""."""
    return request.get_signed_cookie(COOKIE, default="", salt=SALT, max_age=MAX_AGE) or ""


def _hash(account: str) -> str:
    return salted_hmac(SALT, account, algorithm="sha256").hexdigest()[:ACCOUNT_CHARS]
