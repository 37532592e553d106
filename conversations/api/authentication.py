"""Authenticates API requests with knox tokens. A malformed `Authorization` header gives status 401, never 500.

A request with a wrong token is answered 429 while this process refuses too many. A valid token is never delayed.
"""

from typing import Any

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from logs.binding import bind
from logs.fork import after_fork
from logs.token_buckets import TokenBuckets

REFUSALS_PER_SECOND = 10.0
BURST_SECONDS = 10.0  # the refusals of this many seconds may happen at once
refusals = TokenBuckets(BURST_SECONDS)
after_fork(refusals.reset)


class TokenAuthentication(KnoxTokenAuthentication):  # type: ignore[misc]  # knox ships no type hints
    """Authenticates requests with an `Authorization: Token …` header."""

    def authenticate(self, request: Request) -> Any:
        """Return the user and the database row of a request's token; None for a request without a token.

        Raises:
            AuthenticationFailed: see `authenticate_credentials`.
            Throttled: the token is wrong, and so are those of many other requests.
        """
        try:
            return super().authenticate(request)
        except AuthenticationFailed:
            if not refusals.take("tokens", REFUSALS_PER_SECOND):
                raise Throttled(wait=1) from None
            raise

    def authenticate_credentials(self, token: bytes) -> Any:
        """Return the user and the database row of a token.

        Raises:
            AuthenticationFailed: the token is malformed, unknown or expired, or its user is inactive.
        """
        # With some bytes in a token, knox cannot decode the token as UTF-8, or the database rejects the query for it.
        if not (token.isascii() and token.decode("ascii").isprintable()):
            raise AuthenticationFailed("Invalid token.")
        user, row = super().authenticate_credentials(token)
        bind(user=user.pk)
        return user, row


class TokenScheme(KnoxTokenScheme):  # type: ignore[no-untyped-call]  # the base class has an untyped __init_subclass__
    """Describes `TokenAuthentication` in the OpenAPI schema."""

    target_class = "conversations.api.authentication.TokenAuthentication"
    name = "token"
