"""How the servers that `tests.benchmarks.api` compares with the project authenticate requests."""

from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from conversations.access.policy import Access
from conversations.api.authentication import request_token
from conversations.models import ApiToken
from conversations.models.access import token_digest

Known = tuple[User, Access]
_known: dict[str, Known] = {}  # the users of tokens, in memory


class PeerAuthentication(BaseAuthentication):
    """Authenticates with a query that does not contain the time, so that cacheops and cachalot can answer it."""

    def authenticate(self, request: Request) -> Known | None:
        """Return the user of the token; None without a token."""
        token = request_token(request.headers.get("Authorization", ""))
        row = ApiToken.objects.select_related("user").filter(digest=token_digest(token or "")).first()
        return (row.user, Access(row.user_id, is_administrator=row.user.is_superuser)) if row else None


class MemoryAuthentication(PeerAuthentication):
    """Authenticates from the memory of this process; only the first request of a token sends a query."""

    def authenticate(self, request: Request) -> Known | None:
        """Return the user of the token; None without a token."""
        header = request.META.get("HTTP_AUTHORIZATION", "")
        known = _known.get(header)
        if known is None and (found := super().authenticate(request)):
            known = _known[header] = found
        return known
