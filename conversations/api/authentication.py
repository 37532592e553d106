"""Authenticates API requests by an API token or by a session of the admin, and finds the rights of the request.

`request.auth` is the `Access` of the request. A malformed `Authorization` header gives status 401, never 500. A wrong
token is logged with the client's address, and answered 429 while too many come from there. Then only tokens that are
live are looked up in the database. No valid token is delayed, except a new one for a second.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from math import ceil
from typing import cast

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication
from rest_framework.exceptions import APIException, AuthenticationFailed, Throttled
from rest_framework.request import Request

from conversations.access.live_tokens import live_tokens
from conversations.access.policy import Access
from conversations.access.reading import Bearer, access_of_user, bearer_of
from conversations.api.client_address import client_address, client_network
from logs.binding import bind
from logs.contexts import Context
from logs.fork import after_fork
from logs.line_limit import line_limit
from logs.token_buckets import Taken, TokenBuckets

SCHEMES = ("token", "bearer")  # the words before the token in the header, in lower case
MAX_TOKEN_CHARS = 200

REFUSALS_PER_SECOND = 1.0  # of one address
BURST_SECONDS = 60.0  # the refusals of this many seconds may happen at once
refusals = TokenBuckets(BURST_SECONDS)
after_fork(refusals.reset)


class TokenAuthentication(authentication.BaseAuthentication):
    """Authenticates requests with an `Authorization: Token …` or `Authorization: Bearer …` header."""

    def authenticate(self, request: Request) -> tuple[User, Access] | None:
        """Return the user and the rights of the request's token; None for a request without a token.

        Raises:
            AuthenticationFailed: the token is malformed, unknown, expired or revoked, or its user is inactive.
            Throttled: the token is wrong, and so were many others from the same address.
        """
        token = request_token(request.headers.get("Authorization", ""))
        if token is None:
            return None
        found = bearer_of_request(request._request, token) if token else None  # noqa: SLF001 - documented by DRF
        if found is None:
            raise _refusal(request)
        bind(user=found.user.pk)
        return copy(found.user), found.access

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF defines the signature
        """Return the header `WWW-Authenticate` of answers with status 401."""
        return "Token"


class SessionAuthentication(authentication.SessionAuthentication):
    """Authenticates requests with a session cookie of the admin; changes also need a CSRF token."""

    def authenticate(self, request: Request) -> tuple[User, Access] | None:
        """Return the user who has logged in and the user's rights; None without a session."""
        found = super().authenticate(request)
        access = access_of_user(found[0]) if found else None
        if found is None or access is None:
            return None
        return found[0], replace(access, session_key=request._request.session.session_key)  # noqa: SLF001 - documented by DRF


def bearer_of_request(
    request: HttpRequest, token: str, look_up: Callable[[str], Bearer | None] = bearer_of
) -> Bearer | None:
    """Return whose token it is, and note it on the request, unless a middleware has noted it there already.

    Args:
        request: the request.
        token: its token.
        look_up: returns whose token it is. An address that has sent too many wrong tokens causes no more look-ups of
            tokens that are not live.
    """
    if not hasattr(request, "bearer"):
        network, rate = client_network(request), _refusal_rate()
        taken = refusals.peek(network, rate)
        is_looked_up = taken.has_token or token in live_tokens
        request.bearer = look_up(token) if is_looked_up else None  # type: ignore[attr-defined]
        if request.bearer is None:  # type: ignore[attr-defined]
            request.refusal = refusals.try_take(network, rate) if is_looked_up else taken  # type: ignore[attr-defined]
    return cast("Bearer | None", request.bearer)  # type: ignore[attr-defined]


def _refusal_rate() -> float:
    return REFUSALS_PER_SECOND / settings.WEB_PROCESSES


def _refusal(request: Request) -> APIException:
    """Count and log a wrong token, and return the error that answers it; the log contains no token."""
    counted: Taken | None = getattr(request._request, "refusal", None)  # noqa: SLF001 - documented by DRF
    taken = counted or refusals.try_take(client_network(request._request), _refusal_rate())  # noqa: SLF001 - as above
    left_out = line_limit.admit("tokens")
    if left_out is not None:
        fields = {"address": client_address(request._request), **left_out}  # noqa: SLF001 - as above
        Context.API.logger.warning("Token REFUSED", extra=fields)
    if taken.has_token:
        return AuthenticationFailed(_("Invalid token."))
    return Throttled(wait=max(ceil(taken.seconds_to_token), 1))


def request_token(header: str) -> str | None:
    """Return the token of an `Authorization` header; None if the header is missing or has another scheme.

    The token is "" if the header has none, or one with characters that tokens never have.
    """
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() not in SCHEMES:
        return None
    token = token.strip()
    is_possible = len(token) <= MAX_TOKEN_CHARS and token.isascii() and token.isprintable() and " " not in token
    return token if is_possible else ""


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the base class has an untyped __init_subclass__
    """Describes `TokenAuthentication` in the OpenAPI schema."""

    target_class = "conversations.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:  # noqa: ARG002 - defined by the base class
        """Return the description of the header."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token …` or `Bearer …`, with a token of `manage.py api_token`.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # as above
    """Describes `SessionAuthentication` in the OpenAPI schema."""

    target_class = "conversations.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:  # noqa: ARG002 - defined by the base class
        """Return the description of the cookie."""
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
