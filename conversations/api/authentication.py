"""Who asks: API tokens of knox, read so that no header, however odd, is more than a refused one."""

from typing import Any

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from logs.binding import bind


class TokenAuthentication(KnoxTokenAuthentication):  # type: ignore[misc]  # knox ships no types
    """`Authorization: Token …`."""

    def authenticate_credentials(self, token: bytes) -> Any:
        """Return the user and the token's row.

        Raises:
            AuthenticationFailed: the token is not one of ours.
        """
        # Knox decodes it as UTF-8 and asks the database for it, neither of which takes every byte.
        if not (token.isascii() and token.decode("ascii").isprintable()):
            raise AuthenticationFailed("Invalid token.")
        user, row = super().authenticate_credentials(token)
        bind(user=user.pk)
        return user, row


class TokenScheme(KnoxTokenScheme):  # type: ignore[no-untyped-call]  # registers itself when it is made
    """How OpenAPI describes it."""

    target_class = "conversations.api.authentication.TokenAuthentication"
    name = "token"
