import pytest

from tests.load import retry
from tests.load.retry import RetryDecision


@pytest.mark.parametrize("status", [200, 202, 204, 301, 302])
def test_what_is_answered_so_is_delivered_even_by_a_redirect(status: int) -> None:
    assert retry.after(status, attempt=1) is RetryDecision.DELIVERED


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_is_answered_so_is_dropped_at_once(status: int) -> None:
    assert retry.after(status, attempt=1) is RetryDecision.DROPPED


@pytest.mark.parametrize("status", [None, 405, 408, 409, 411, 413, 429, 500, 502, 503])
def test_anything_else_is_tried_ten_times(status: int | None) -> None:
    assert [retry.after(status, attempt) for attempt in range(1, 11)] == [RetryDecision.AGAIN] * 9 + [
        RetryDecision.GIVEN_UP
    ]


def test_the_waits_double_and_then_stay() -> None:
    assert [retry.wait(attempt, luck=0.5) for attempt in range(1, 10)] == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_wait_may_be_a_fifth_shorter_or_longer() -> None:
    assert (retry.wait(1, luck=0), retry.wait(1, luck=1)) == (4, 6)
