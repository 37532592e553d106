"""What a request may hand on: a token never permits more than the user and the token that ask for it."""

import datetime as dt
from collections.abc import Collection
from typing import NamedTuple

from django.utils.translation import gettext as _

from conversations.access.policy import ROLE_SCOPES, Access, implied_scopes
from conversations.models import Scope


class NotGranted(Exception):
    """A request asks for a token that permits more than the request itself."""


class UnknownInstance(Exception):
    """A request names an instance that does not exist for it."""


class TokenTerms(NamedTuple):
    """What a new token permits, and until when; see `ApiToken.objects.issue`."""

    scopes: frozenset[Scope]
    instances: frozenset[int] | None
    expires_at: dt.datetime | None


def token_terms(
    access: Access, scopes: Collection[Scope], instances: Collection[int] | None, expires_at: dt.datetime | None
) -> TokenTerms:
    """Return the terms of a new token for a request.

    Args:
        access: what the request may do.
        scopes: the scopes of the new token.
        instances: the primary keys of existing instances; None for all instances of the request.
        expires_at: when the new token ends; None for as late as possible.

    Raises:
        UnknownInstance: an instance is not visible to the request.
        NotGranted: the request asks for more scopes, or for more time, than it has.
    """
    if instances is None:
        limit = access.limited_to
    elif all(map(access.allows, instances)):
        limit = frozenset(instances)
    else:
        raise UnknownInstance
    if excess := implied_scopes(scopes) - grantable_scopes(access, limit):
        raise NotGranted(
            _("This needs scopes that you do not have there: %(scopes)s.") % {"scopes": ", ".join(sorted(excess))}
        )
    end = access.expires_at
    if end is not None and expires_at is not None and expires_at > end:
        raise NotGranted(
            _("The new token cannot end after the present one, which ends at %(time)s.") % {"time": end.isoformat()}
        )
    return TokenTerms(frozenset(scopes), limit, expires_at or end)


def grantable_scopes(access: Access, instances: Collection[int] | None) -> frozenset[Scope]:
    """Return the scopes that the request has in one of these instances at least; None stands for all instances."""
    if access.is_administrator:
        return access.scopes
    roles = {role for pk, role in access.roles.items() if instances is None or pk in instances}
    return access.scopes & frozenset[Scope]().union(*(ROLE_SCOPES.get(role, frozenset()) for role in roles))
