"""What a token may hand on, for every combination of the scopes and roles of the request."""

import datetime as dt
import itertools

import pytest

from conversations.access.grants import NotGranted, UnknownInstance, token_terms
from conversations.access.policy import Access, implied_scopes
from conversations.models import Role, Scope

MINE, OTHER, FOREIGN = 1, 2, 3
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize("role", [*Role, None])
@pytest.mark.parametrize("limited_to", [None, frozenset[int](), frozenset({MINE}), frozenset({MINE, OTHER})])
def test_a_new_token_permits_nothing_that_its_maker_may_not_do(
    role: Role | None, limited_to: frozenset[int] | None
) -> None:
    roles = {OTHER: Role.READER, **({MINE: role} if role else {})}
    choices = [None, [MINE], [OTHER], [FOREIGN], [MINE, OTHER], [MINE, FOREIGN]]
    for is_administrator, held, wanted, instances in itertools.product((False, True), Scope, Scope, choices):
        maker = Access(1, is_administrator, roles, implied_scopes([held]), limited_to)
        try:
            terms = token_terms(maker, [wanted], instances, None)
        except (NotGranted, UnknownInstance):
            continue
        made = Access(1, is_administrator, roles, implied_scopes(terms.scopes), terms.instances)
        for pk, scope in itertools.product((MINE, OTHER, FOREIGN), Scope):
            assert maker.allows(pk, scope) or not made.allows(pk, scope)


def test_a_new_token_ends_with_its_maker_at_the_latest() -> None:
    hour = dt.timedelta(hours=1)
    maker = Access(1, is_administrator=True, expires_at=NOON)
    ends = [token_terms(maker, [Scope.READ], None, end).expires_at for end in (None, NOON - hour, NOON)]
    assert ends == [NOON, NOON - hour, NOON]
    with pytest.raises(NotGranted, match="cannot end after"):
        token_terms(maker, [Scope.READ], None, NOON + hour)
    unlimited = Access(1, is_administrator=True)
    assert [token_terms(unlimited, [Scope.READ], None, end).expires_at for end in (None, NOON)] == [None, NOON]
