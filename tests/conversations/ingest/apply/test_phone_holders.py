"""A phone number belongs to one LID at a time, whatever the order of the claims."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.ingest.apply import phone_holders
from conversations.ingest.apply.phone_holders import (
    Claims,
    holder,
    latest_claim,
    merge_claims,
    new_claim,
)

DAY = 86_400_000
claims = st.dictionaries(st.sampled_from(["1@lid", "2@lid", "3@lid"]), st.integers(0, 9 * DAY).map(new_claim))


def test_without_claims_nobody_holds_a_number() -> None:
    assert (holder({}), holder({}, 5), latest_claim({})) == ("", "", (0, 0))


def test_the_latest_claim_holds_and_earlier_times_belong_to_earlier_claims() -> None:
    found: Claims = {"1@lid": new_claim(2 * DAY), "2@lid": new_claim(5 * DAY)}
    assert [holder(found, day * DAY) for day in (0, 2, 4, 5, 9)] == ["1@lid", "1@lid", "1@lid", "2@lid", "2@lid"]
    assert holder(found) == "2@lid"


def test_a_holder_who_claims_again_holds_the_number_again() -> None:
    found = merge_claims({"1@lid": new_claim(0), "2@lid": new_claim(DAY)}, {"1@lid": new_claim(2 * DAY)})
    assert holder(found) == "1@lid"


def test_of_two_claims_on_one_day_the_later_first_claim_holds() -> None:
    assert holder({"2@lid": new_claim(1), "1@lid": new_claim(2)}) == "1@lid"


@given(claims, claims, claims)
def test_claims_merge_in_any_order_and_any_number_of_times(one: Claims, two: Claims, three: Claims) -> None:
    assert merge_claims(one, two) == merge_claims(two, one)
    assert merge_claims(merge_claims(one, two), three) == merge_claims(one, merge_claims(two, three))
    assert merge_claims(merge_claims(one, two), two) == merge_claims(one, two)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(claims, claims, claims)
def test_limited_claims_merge_in_any_order(
    monkeypatch: pytest.MonkeyPatch, one: Claims, two: Claims, three: Claims
) -> None:
    monkeypatch.setattr(phone_holders, "MAX_CLAIMS", 2)
    all_at_once = merge_claims(merge_claims(one, two), three)
    assert len(all_at_once) == min(len({*one, *two, *three}), 2)
    assert merge_claims(merge_claims(three, one), two) == all_at_once
    assert merge_claims(all_at_once, one) == all_at_once
