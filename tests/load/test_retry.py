import pytest

from tests.load import retry
from tests.load.retry import RetryDecision


@pytest.mark.parametrize("status", [200, 202, 204, 301, 302])
def test_a_success_or_redirect_is_delivered(status: int) -> None:
    assert retry.decide(status, attempt=1) is RetryDecision.DELIVERED


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_permanent_error_is_dropped_after_the_first_attempt(status: int) -> None:
    assert retry.decide(status, attempt=1) is RetryDecision.DROPPED


@pytest.mark.parametrize("status", [None, 405, 408, 409, 411, 413, 429, 500, 502, 503])
def test_any_other_result_is_tried_ten_times(status: int | None) -> None:
    decisions = [retry.decide(status, attempt) for attempt in range(1, 11)]
    assert decisions == [RetryDecision.RETRY] * 9 + [RetryDecision.GIVEN_UP]


def test_delays_double_up_to_five_minutes() -> None:
    delays = [retry.delay(attempt, random_unit=0.5) for attempt in range(1, 10)]
    assert delays == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_jitter_changes_a_delay_by_up_to_a_fifth() -> None:
    assert (retry.delay(1, random_unit=0), retry.delay(1, random_unit=1)) == (4, 6)
