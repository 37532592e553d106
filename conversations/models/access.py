"""The models of access: which instances a user may see and change, and the API tokens of users."""

import datetime as dt
import secrets
from collections.abc import Collection
from hashlib import sha512

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q, QuerySet
from django.utils import timezone

from cachelayer import CachedModel
from conversations.db.managers import TableManager
from conversations.models.instance import Instance

TOKEN_PREFIX = "wai_"  # noqa: S105 - not a password; scanners for leaked secrets can recognize the prefix
SHOWN_CHARS = 8  # how many characters of a token are stored in clear, so that people can tell tokens apart


class Scope(models.TextChoices):
    """What the bearer of an API token may do. The values are stored in tokens."""

    READ = "read"
    WRITE = "write"
    SEND = "send"
    MANAGE = "manage"


class Role(models.TextChoices):
    """What a user may do with one instance."""

    READER = "reader"
    AGENT = "agent"
    MANAGER = "manager"


def token_digest(token: str) -> str:
    """Return the hash that is stored for an API token. One round is enough, as tokens are long and random."""
    return sha512(token.encode(errors="surrogatepass")).hexdigest()


class MembershipManager(TableManager["Membership"]):
    """Reads the roles of users."""

    def roles(self, user_id: int) -> dict[int, str]:
        """Return a user's roles by the primary key of the instance."""
        return dict(self.filter(user=user_id).values_list("instance", "role"))


class Membership(CachedModel):
    """A user's role in one instance. A superuser needs no membership."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="memberships")
    role = models.CharField(
        max_length=16, choices=Role, default=Role.AGENT, help_text="reader: read; agent: also change and send; manager"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: MembershipManager = MembershipManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "instance"], name="membership")]

    def __str__(self) -> str:
        return f"user {self.user_id} is {self.role} of instance {self.instance_id}"


class ApiTokenManager(TableManager["ApiToken"]):
    """Issues and finds API tokens."""

    def issue(
        self,
        user: User,
        *,
        name: str = "",
        scopes: Collection[str] = tuple(Scope),
        instances: Collection[int] | None = None,
        expires_at: dt.datetime | None = None,
    ) -> tuple["ApiToken", str]:
        """Create a token; return its row and the token, which cannot be shown again.

        Args:
            user: the user for whom the token acts.
            name: the purpose of the token, shown to people.
            scopes: what the token may do; see `conversations.access.policy`.
            instances: the primary keys of the instances to which the token is limited; None for all of the user's.
            expires_at: when the token ends; None for never.
        """
        row = ApiToken(
            user=user,
            name=name,
            scopes=[scope.value for scope in Scope if scope in scopes],
            instance_ids=None if instances is None else sorted(set(instances)),
            expires_at=expires_at,
        )
        token = row.set_secret()
        row.save(force_insert=True)
        return row, token

    def valid(self, digest: str) -> QuerySet["ApiToken"]:
        """Return the token with this digest, with its user, unless the token has ended or the user is inactive."""
        is_live = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
        return self.select_related("user").filter(is_live, digest=digest, user__is_active=True)


class ApiToken(CachedModel):
    """An API token of a user. Only a hash of the token is stored."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, blank=True, default="", help_text="purpose of the token")
    digest = models.CharField(max_length=128, unique=True, editable=False)
    hint = models.CharField(max_length=16, editable=False, help_text="the first characters of the token")
    scopes = models.JSONField(default=list, help_text="what the token may do")
    instance_ids = models.JSONField(
        null=True, blank=True, help_text="ids of the instances to which the token is limited; null for all of the user"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ApiTokenManager = ApiTokenManager()

    def __str__(self) -> str:
        return f"{self.hint}… {self.name}".rstrip()

    def set_secret(self) -> str:
        """Give a row that is not saved yet a new random token, and return the token."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        self.digest, self.hint = token_digest(token), token[: len(TOKEN_PREFIX) + SHOWN_CHARS]
        return token

    def revoke(self) -> None:
        """End the token now; a token that has ended before keeps the earlier time."""
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save(update_fields=["revoked_at"])

    @property
    def digest_key(self) -> str:
        """The part of the digest that cache tags contain."""
        return digest_key(self.digest)


def digest_key(digest: str) -> str:
    """Return the part of a token's digest that cache tags contain: enough to be unique, too little to be of use."""
    return digest[:32]


class ReadingRecord(models.Model):
    """A record that a staff user has read a page of a conversation in the admin."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    username = models.CharField(max_length=150)
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="+")
    conversation_pk = models.BigIntegerField(verbose_name="conversation id")
    conversation_jid = models.CharField(max_length=128, verbose_name="conversation address")
    read_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"user {self.user_id} read conversation {self.conversation_pk}"
