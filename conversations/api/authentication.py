"""Authenticates API requests with knox tokens. A malformed `Authorization` header gives status 401, never 500."""

from typing import Any

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from logs.binding import bind


class TokenAuthentication(KnoxTokenAuthentication):  # type: ignore[misc]  # knox ships no type hints
    """Authenticates requests with an `Authorization: Token …` header."""

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
