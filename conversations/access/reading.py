"""Reads from the database what a user or a token may do."""

from collections.abc import Mapping

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User

from conversations.access.policy import Access, implied_scopes
from conversations.models import ApiToken, Membership
from conversations.models.access import token_digest


def access_of_token(token: str) -> tuple[User, Access] | None:
    """Return the user of a token and what the token permits; None for a token that is unknown or has ended."""
    row = ApiToken.objects.valid(token_digest(token)).first()
    if row is None:
        return None
    return row.user, Access(
        user_id=row.user_id,
        is_administrator=row.user.is_superuser,
        roles=_roles(row.user),
        scopes=implied_scopes(row.scopes),
        limited_to=None if row.instance_ids is None else frozenset(row.instance_ids),
        token_id=row.pk,
        expires_at=row.expires_at,
    )


def access_of_user(user: AbstractBaseUser | AnonymousUser) -> Access | None:
    """Return what a user who has logged in may do; None for an anonymous or inactive user."""
    if not isinstance(user, User) or not user.is_active:
        return None
    return Access(user_id=user.pk, is_administrator=user.is_superuser, roles=_roles(user))


def _roles(user: User) -> Mapping[int, str]:
    return {} if user.is_superuser else Membership.objects.roles(user.pk)
