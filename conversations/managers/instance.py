"""Operations on instances: reads, upsert, and the webhook token."""

import datetime as dt
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from cachelayer import Page
from conversations.db.managers import TableManager
from conversations.managers import PAGE

if TYPE_CHECKING:
    from conversations.models import Instance

# Evolution retries an event with the headers it first had, for up to half an hour; and somebody has to paste the new
# token. An hour covers both.
TOKEN_GRACE_PERIOD = dt.timedelta(hours=1)


def hash_token(token: str) -> str:
    """Return what is stored of a token: tokens are random and long, so one round of SHA-256 is enough."""
    return sha256(token.encode()).hexdigest()


def name_digest(name: str) -> str:
    """Return what stands for a name in a tag: no key of the store says what was looked for, or is as long as that."""
    return sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]


class InstanceManager(TableManager["Instance"]):
    """Operations on instances."""

    def page(self, *, cursor: str = "", limit: int = PAGE, fresh: bool = False) -> Page["Instance"]:
        """Return a page of all instances, by name; see `fetch` for `fresh`."""
        return self.fetch_page("instances:all", self.all, ("name", "id"), cursor=cursor, limit=limit, fresh=fresh)

    def by_name(self, name: str) -> list["Instance"]:
        """Return the instances of that name, one a server."""
        return self.fetch_rows(f"instances:named:{name_digest(name)}", lambda: self.filter(name=name).order_by("id"))

    def lock(self, pk: int) -> "Instance":
        """Lock the instance until the transaction's end: whoever writes several of its rows does it under this lock."""
        return self.select_for_update(no_key=True).get(pk=pk)

    def upsert(self, name: str, server_url: str = "", **fields: Any) -> tuple["Instance", bool]:
        """Return the instance, made or updated with `fields`, and whether it was made."""
        if not fields:
            return self.get_or_create(name=name, server_url=server_url)
        return self.update_or_create(name=name, server_url=server_url, defaults=fields)

    def issue_token(self, pk: int, *, token: str = "", revoke_old: bool = False) -> str:
        """Give the instance a new webhook token and return it; only its hash is stored.

        The token before it stays good for `OVERLAP`, so that no webhook is refused while the new one is being set,
        unless `revoke_old`.
        """
        token = token or secrets.token_urlsafe(32)
        with transaction.atomic():
            row = self.select_for_update().get(pk=pk)
            row.previous_token_hash = "" if revoke_old else row.token_hash
            row.previous_token_until = timezone.now() + TOKEN_GRACE_PERIOD if row.previous_token_hash else None
            row.token_hash = hash_token(token)
            row.save(update_fields=["token_hash", "previous_token_hash", "previous_token_until", "updated_at"])
        return token

    def delete(self, pk: int) -> bool:
        """Delete the instance with everything it has; return whether it was there."""
        return bool(self.filter(pk=pk).delete()[0])
