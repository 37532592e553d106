"""The access policy, without I/O: what each role permits, and what a user or a token may do with each instance."""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from conversations.models.access import Role, Scope

ALL_SCOPES = frozenset(Scope)
ROLE_SCOPES: Mapping[str, frozenset[Scope]] = {
    Role.READER: frozenset({Scope.READ}),
    Role.AGENT: frozenset({Scope.READ, Scope.WRITE, Scope.SEND}),
    Role.MANAGER: ALL_SCOPES,
}
# A token with a scope on the left also has the scopes on the right.
IMPLIED: Mapping[str, frozenset[Scope]] = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.WRITE: frozenset({Scope.READ, Scope.WRITE}),
    Scope.SEND: frozenset({Scope.READ, Scope.SEND}),
    Scope.MANAGE: frozenset({Scope.READ, Scope.WRITE, Scope.MANAGE}),
}


@dataclass(frozen=True)
class Access:
    """What one user may do, or one token of the user.

    Attributes:
        user_id: the primary key of the user.
        is_administrator: whether the user is a superuser, who has every role in every instance.
        roles: the user's roles by the primary key of the instance; empty for an administrator.
        scopes: what the token may do; all scopes for a user without a token.
        limited_to: the primary keys of the instances to which the token is limited; None for no limit.
        token_id: the primary key of the token; None for a user without a token.
        expires_at: when the token ends; None for never.
        session_key: the session in which the user has logged in; None for a token.
    """

    user_id: int
    is_administrator: bool = False
    roles: Mapping[int, str] = field(default_factory=dict)
    scopes: frozenset[Scope] = ALL_SCOPES
    limited_to: frozenset[int] | None = None
    token_id: int | None = None
    expires_at: dt.datetime | None = None
    session_key: str | None = None

    @cached_property
    def readable(self) -> frozenset[int] | None:
        """The primary keys of the instances whose rows may be read; None stands for all instances."""
        return self._instances(Scope.READ)

    @cached_property
    def readable_key(self) -> str:
        """A text that is equal for two objects if both may read the same instances."""
        return "*" if self.readable is None else ",".join(map(str, sorted(self.readable)))

    def has_scope(self, scope: Scope) -> bool:
        """Return whether the token permits this at all, in whichever instance."""
        return scope in self.scopes

    def instances(self, scope: Scope = Scope.READ) -> frozenset[int] | None:
        """Return the primary keys of the instances in which this is permitted; None stands for all instances."""
        return self.readable if scope is Scope.READ else self._instances(scope)

    def _instances(self, scope: Scope) -> frozenset[int] | None:
        if scope not in self.scopes:
            return frozenset()
        if self.is_administrator:
            return self.limited_to
        permitted = frozenset(pk for pk, role in self.roles.items() if scope in ROLE_SCOPES.get(role, ()))
        return permitted if self.limited_to is None else permitted & self.limited_to

    def allows(self, instance_id: int, scope: Scope = Scope.READ) -> bool:
        """Return whether this is permitted in an instance."""
        permitted = self.instances(scope)
        return permitted is None or instance_id in permitted

    def is_within_limit(self, instance_id: int) -> bool:
        """Return whether the token is not limited to other instances."""
        return self.limited_to is None or instance_id in self.limited_to

    def visible(self, wanted: Collection[int] | None, scope: Scope = Scope.READ) -> frozenset[int] | None:
        """Return those of the wanted instances in which this is permitted; None stands for all, on both sides."""
        permitted = self.instances(scope)
        if wanted is None:
            return permitted
        return frozenset(wanted) if permitted is None else permitted & frozenset(wanted)


def implied_scopes(names: Collection[str]) -> frozenset[Scope]:
    """Return the scopes that a token with these scopes has; unknown names give none."""
    return frozenset(scope for name in names for scope in IMPLIED.get(name, ()))
