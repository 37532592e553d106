"""Authentication with knox API tokens. A malformed `Authorization` header gets 401 and never a server error."""

from typing import Any

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from logs.binding import bind


class TokenAuthentication(KnoxTokenAuthentication):  # type: ignore[misc]  # knox ships no types
    """Authenticates requests with an `Authorization: Token …` header."""

    def authenticate_credentials(self, token: bytes) -> Any:
        """Return the user and the token's row.

        Raises:
            AuthenticationFailed: the token is malformed, unknown or expired, or its user is inactive.
        """
        # Knox decodes the token as UTF-8 and queries the database with it. Both raise errors on some bytes.
        if not (token.isascii() and token.decode("ascii").isprintable()):
            raise AuthenticationFailed("Invalid token.")
        user, row = super().authenticate_credentials(token)
        bind(user=user.pk)
        return user, row


class TokenScheme(KnoxTokenScheme):  # type: ignore[no-untyped-call]  # subclassing registers the extension
    """Describes `TokenAuthentication` in the OpenAPI schema."""

    target_class = "conversations.api.authentication.TokenAuthentication"
    name = "token"
