"""The models of access: which instances a user may see and change, and the API tokens of users."""

import datetime as dt
import secrets
from collections.abc import Collection
from hashlib import sha512
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cachelayer import CachedModel
from conversations.db.managers import TableManager
from conversations.models.instance import Instance

TOKEN_PREFIX = "wai_"  # noqa: S105 - not a password; scanners for leaked secrets can recognize the prefix
SHOWN_CHARS = 8  # how many characters of a token are stored in clear, so that people can tell tokens apart
MAX_TOKENS = 100  # how many valid tokens of one user the API issues
MAX_ENDED_TOKENS = 1000  # of one user; of more, the API deletes the oldest when it issues another
PURGED_TOKENS = 100  # at most, for each new one


class Scope(models.TextChoices):
    """What the bearer of an API token may do. The values are stored in tokens."""

    READ = "read", _("Read messages")
    WRITE = "write", _("Change conversations")
    SEND = "send", _("Send messages")
    MANAGE = "manage", _("Manage")


class Role(models.TextChoices):
    """What a user may do with one instance."""

    READER = "reader"
    AGENT = "agent"
    MANAGER = "manager"


def token_digest(token: str) -> str:
    """Return the hash that is stored for an API token. One round is enough, as tokens are long and random."""
    return sha512(token.encode(errors="surrogatepass")).hexdigest()


class MembershipExists(Exception):
    """The user has a role in the instance already."""


class TokenNotIssued(Exception):
    """The token that asks for another token has ended meanwhile, or its user has too many tokens."""


class MembershipManager(TableManager["Membership"]):
    """Reads and adds the roles of users."""

    def roles(self, user_id: int) -> dict[int, str]:
        """Return a user's roles by the primary key of the instance."""
        return dict(self.filter(user=user_id).values_list("instance", "role"))

    def add(self, *, instance_id: int, username: str, role: str) -> "Membership":
        """Give an existing user a role in an instance.

        Raises:
            Instance.DoesNotExist: there is no such instance.
            User.DoesNotExist: there is no such user.
            MembershipExists: the user has a role in the instance already.
        """
        with transaction.atomic():
            instance = Instance.objects.lock(instance_id)
            user = User.objects.select_for_update(no_key=True).get(username=username)
            if self.filter(instance=instance, user=user).exists():
                raise MembershipExists(
                    _("The user has a role in instance %(instance)s already.") % {"instance": instance_id}
                )
            return self.create(instance=instance, user=user, role=role)


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
        text = _("user %(user)s is %(role)s of instance %(instance)s")
        return text % {"user": self.user_id, "role": self.get_role_display(), "instance": self.instance_id}


class ApiTokenManager(TableManager["ApiToken"]):
    """Issues and finds API tokens."""

    def issue(  # noqa: PLR0913 - what a token consists of
        self,
        user: User,
        *,
        name: str = "",
        scopes: Collection[str] = tuple(Scope),
        instances: Collection[int] | None = None,
        expires_at: dt.datetime | None = None,
        made_by: int | None = None,
    ) -> tuple["ApiToken", str]:
        """Create a token; return its row and the token, which cannot be shown again.

        Args:
            user: the user for whom the token acts.
            name: the purpose of the token, shown to people.
            scopes: what the token may do; see `conversations.access.policy`.
            instances: the primary keys of the instances to which the token is limited; None for all of the user's.
            expires_at: when the token ends; None for never.
            made_by: the primary key of the token that asked for this token; None for no token.
        """
        row = ApiToken(
            user=user,
            made_by_id=made_by,
            name=name,
            scopes=[scope.value for scope in Scope if scope in scopes],
            instance_ids=None if instances is None else sorted(set(instances)),
            expires_at=expires_at,
        )
        token = row.set_secret()
        row.save(force_insert=True)
        return row, token

    def issue_by_api(self, user: User, *, made_by: int | None, **options: Any) -> tuple["ApiToken", str]:
        """Do what `issue` does, for a request of the user, at most `MAX_TOKENS` times.

        Args:
            user: the user for whom the token acts.
            made_by: the primary key of the request's token; None for a request without a token.
            options: see `issue`.

        Raises:
            TokenNotIssued: the request's token has ended meanwhile, or the user has too many tokens.
        """
        with transaction.atomic():
            lock_tokens(user.pk)
            live = self.live().filter(user=user)
            if made_by is not None and not live.filter(pk=made_by).exists():
                raise TokenNotIssued(_("The token of this request has ended."))
            if live.count() >= MAX_TOKENS:
                raise TokenNotIssued(_("There are %(count)d valid tokens. Revoke one first.") % {"count": MAX_TOKENS})
            self._purge(user)
            return self.issue(user, made_by=made_by, **options)

    def _purge(self, user: User) -> None:
        """Delete some of a user's oldest ended tokens if there are too many, so that rows do not pile up."""
        ended = self.filter(user=user).exclude(pk__in=self.live().filter(user=user).values("pk")).order_by("-pk")
        if pks := list(ended.values_list("pk", flat=True)[MAX_ENDED_TOKENS : MAX_ENDED_TOKENS + PURGED_TOKENS]):
            self.filter(pk__in=pks).delete()

    def live(self) -> QuerySet["ApiToken"]:
        """Return the tokens that have not ended; the user may be inactive."""
        return self.filter(Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now())))

    def valid(self, digest: str) -> QuerySet["ApiToken"]:
        """Return the token with this digest, with its user, unless the token has ended or the user is inactive."""
        return self.live().select_related("user").filter(digest=digest, user__is_active=True)


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
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="accurate to the hour")
    made_by = models.ForeignKey(
        "self", models.CASCADE, null=True, editable=False, related_name="made",
        help_text="the token that asked the API for this token, which ends with it",
    )  # fmt: skip

    objects: ApiTokenManager = ApiTokenManager()

    class Meta:
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.hint}… {self.name}".rstrip()

    def set_secret(self) -> str:
        """Give a row that is not saved yet a new random token, and return the token."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        self.digest, self.hint = token_digest(token), token[: len(TOKEN_PREFIX) + SHOWN_CHARS]
        return token

    def revoke(self) -> None:
        """End the token and those that it has made now; a token that has ended before keeps the earlier time."""
        with transaction.atomic():
            lock_tokens(self.user_id)
            for token in self.made.filter(revoked_at=None):
                token.revoke()
            if self.revoked_at is None:
                self.revoked_at = timezone.now()
                self.save(update_fields=["revoked_at"])

    @property
    def is_live(self) -> bool:
        """Whether the token has not ended."""
        return self.revoked_at is None and (self.expires_at is None or timezone.now() < self.expires_at)

    @property
    def digest_key(self) -> str:
        """The part of the digest that cache tags contain."""
        return digest_key(self.digest)


def lock_tokens(user_id: int) -> None:
    """Make other transactions that issue or revoke tokens of a user wait until the current transaction ends."""
    User.objects.select_for_update(no_key=True).filter(pk=user_id).values_list("pk").first()


def digest_key(digest: str) -> str:
    """Return the part of a token's digest that cache tags contain: enough to be unique, too little to be of use."""
    return digest[:32]


class ReadingRecord(models.Model):
    """A record that a page of the admin has shown messages of a conversation to a staff user."""

    class Page(models.TextChoices):
        """The kinds of pages that show messages."""

        CONVERSATION = "conversation"
        CONVERSATIONS = "conversations", "list of conversations"
        MESSAGE = "message"
        MESSAGES = "messages", "list of messages"
        EVENT = "event", "webhook event"
        INBOX = "inbox"
        CACHE = "cache", "cache entry"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    username = models.CharField(max_length=150)
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="+")
    page = models.CharField(max_length=16, choices=Page, default=Page.CONVERSATION)
    row_pk = models.BigIntegerField(null=True, verbose_name="row id", help_text="of the row that the page is about")
    conversation_pk = models.BigIntegerField(null=True, verbose_name="conversation id")
    conversation_jid = models.CharField(max_length=128, verbose_name="conversation address")
    read_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        indexes = [
            models.Index(fields=["user", "read_at", "id"], name="reading_by_user"),
            models.Index(fields=["instance", "read_at", "id"], name="reading_by_instance"),
        ]

    def __str__(self) -> str:
        text = _("user %(user)s read conversation %(conversation)s on the page: %(page)s")
        return text % {"user": self.user_id, "conversation": self.conversation_pk, "page": self.get_page_display()}
