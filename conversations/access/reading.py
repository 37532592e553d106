"""Reads what a user or a token may do: from the database, or from a snapshot that the store has confirmed.

A snapshot of a token is in the memory of this process (`cachelayer.snapshots`), never in Redis.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from cachelayer import Snapshot, Snapshots
from conversations.access import use
from conversations.access.policy import Access, implied_scopes
from conversations.cache_policy import ACCESS
from conversations.models import ApiToken, Membership
from conversations.models.access import digest_key, token_digest


class Bearer(NamedTuple):
    """The user of a token, and what the token permits."""

    user: User
    access: Access

    @property
    def is_live(self) -> bool:
        """Whether the token has not expired."""
        expires_at = self.access.expires_at
        return expires_at is None or timezone.now() < expires_at


snapshots: Snapshots[Bearer] = Snapshots(ACCESS)


def find_snapshot(token: str) -> Snapshot[Bearer] | None:
    """Return the snapshot of a token that has not expired. The caller must confirm the snapshot before using it."""
    snapshot = snapshots.find(token_digest(token))
    return snapshot if snapshot is not None and snapshot.value.is_live else None


def bearer_of(token: str) -> Bearer | None:
    """Return the user of a token and what the token permits; None for a token that is unknown or has ended."""
    return _bearer_of_digest(token_digest(token))


def bearer_of_token_id(pk: int) -> Bearer | None:
    """Return the same as `bearer_of`, for the primary key of a token."""
    digest = ApiToken.objects.filter(pk=pk).values_list("digest", flat=True).first()
    return None if digest is None else _bearer_of_digest(digest)


def _bearer_of_digest(digest: str) -> Bearer | None:
    bearer = snapshots.fetch(digest)
    return bearer if bearer is not None and bearer.is_live else _load_bearer(digest)


def load_bearer(token: str) -> Bearer | None:
    """Do what `bearer_of` does, but read from the database. An unknown token leaves nothing behind."""
    return _load_bearer(token_digest(token))


def _load_bearer(digest: str) -> Bearer | None:
    user_id = ApiToken.objects.valid(digest).values_list("user_id", flat=True).first()
    if user_id is None:
        return None
    tags = (f"access:token:{digest_key(digest)}", f"access:user:{user_id}")
    return snapshots.load(digest, tags, partial(_load, digest, user_id))


def _load(digest: str, user_id: int) -> Bearer | None:
    row = ApiToken.objects.valid(digest).filter(user=user_id).first()
    if row is None:
        return None
    use.note(row)
    return Bearer(
        row.user,
        Access(
            user_id=row.user_id,
            is_administrator=row.user.is_superuser,
            roles=_roles(row.user),
            scopes=implied_scopes(row.scopes),
            limited_to=None if row.instance_ids is None else frozenset(row.instance_ids),
            token_id=row.pk,
            expires_at=row.expires_at,
        ),
    )


def access_of_user(user: AbstractBaseUser | AnonymousUser) -> Access | None:
    """Return what a user who has logged in may do; None for an anonymous or inactive user."""
    if not isinstance(user, User) or not user.is_active:
        return None
    return Access(user_id=user.pk, is_administrator=user.is_superuser, roles=_roles(user))


def _roles(user: User) -> Mapping[int, str]:
    return {} if user.is_superuser else Membership.objects.roles(user.pk)
