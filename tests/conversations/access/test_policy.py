"""What roles and tokens permit, for all combinations."""

import itertools

import pytest

from conversations.access.policy import IMPLIED, ROLE_SCOPES, Access, implied_scopes
from conversations.models import Role, Scope

MINE, OTHER = 1, 2


@pytest.mark.parametrize(("role", "scope"), list(itertools.product(Role, Scope)))
def test_a_role_permits_its_scopes_in_its_instance_only(role: Role, scope: Scope) -> None:
    access = Access(user_id=1, roles={MINE: role})
    assert access.allows(MINE, scope) == (scope in ROLE_SCOPES[role])
    assert not access.allows(OTHER, scope)


@pytest.mark.parametrize(("scope", "wanted"), list(itertools.product(Scope, Scope)))
def test_a_token_permits_its_scopes_and_those_that_they_imply(scope: Scope, wanted: Scope) -> None:
    access = Access(user_id=1, roles={MINE: Role.MANAGER}, scopes=implied_scopes([scope]))
    assert access.allows(MINE, wanted) == (wanted in IMPLIED[scope])
    assert access.has_scope(wanted) == (wanted in IMPLIED[scope])


def test_every_scope_implies_reading_and_itself() -> None:
    assert all({Scope.READ, scope} <= IMPLIED[scope] for scope in Scope)


def test_every_role_may_read() -> None:
    assert all(Scope.READ in ROLE_SCOPES[role] for role in Role)


def test_an_administrator_sees_all_instances() -> None:
    access = Access(user_id=1, is_administrator=True)
    assert access.instances() is None
    assert access.visible(None) is None
    assert access.visible([OTHER]) == frozenset({OTHER})


def test_a_token_can_be_limited_to_instances_but_never_adds_one() -> None:
    user = Access(user_id=1, roles={MINE: Role.AGENT}, limited_to=frozenset({OTHER}))
    assert user.instances() == frozenset()
    administrator = Access(user_id=1, is_administrator=True, limited_to=frozenset({OTHER}))
    assert administrator.instances() == frozenset({OTHER})
    assert not administrator.allows(MINE)


def test_a_filter_never_adds_an_instance() -> None:
    access = Access(user_id=1, roles={MINE: Role.READER})
    assert access.visible(None) == frozenset({MINE})
    assert access.visible([MINE, OTHER]) == frozenset({MINE})
    assert access.visible([OTHER]) == frozenset()


def test_a_token_without_a_scope_sees_nothing() -> None:
    access = Access(user_id=1, is_administrator=True, scopes=implied_scopes(["nonsense"]))
    assert access.instances() == frozenset()
