"""Token buckets allow a burst and then a rate."""

import pytest

from logs import token_buckets
from logs.token_buckets import TokenBuckets
from tests.waiting import StoppedClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    stopped = StoppedClock()
    monkeypatch.setattr(token_buckets, "monotonic", stopped)
    return stopped


def test_a_bucket_allows_a_burst_and_then_the_rate(clock: StoppedClock) -> None:
    buckets = TokenBuckets(3.0)
    assert [buckets.take(1, 2.0) for _ in range(7)] == [True] * 6 + [False]
    clock.now += 0.5
    assert [buckets.take(1, 2.0) for _ in range(2)] == [True, False]
    clock.now += 1000
    assert sum(buckets.take(1, 2.0) for _ in range(100)) == 6, "a bucket does not grow beyond the burst"


@pytest.mark.usefixtures("clock")
def test_each_key_has_its_own_bucket() -> None:
    buckets = TokenBuckets(1.0)
    assert [buckets.take(key, 1.0) for key in ("a", "a", "b", "b")] == [True, False, True, False]
    buckets.reset()
    assert buckets.take("a", 1.0)


def test_a_bucket_owes_what_a_large_amount_exceeds(clock: StoppedClock) -> None:
    buckets = TokenBuckets(10.0)
    assert [buckets.try_take(1, 1.0, amount).tokens for amount in (8, 7)] == [2, -5]
    for seconds, has_token in ((5, False), (0.9, False), (0.1, True)):
        clock.now += seconds
        assert buckets.try_take(1, 1.0, 3).has_token is has_token


def test_a_low_rate_allows_one_action(clock: StoppedClock) -> None:
    buckets = TokenBuckets(1.0)
    assert [buckets.take(1, 0.1) for _ in range(2)] == [True, False]
    clock.now += 10
    assert [buckets.take(1, 0.1) for _ in range(2)] == [True, False]


def test_what_is_left_is_told(clock: StoppedClock) -> None:
    buckets = TokenBuckets(3.0)
    taken = [buckets.try_take(1, 2.0) for _ in range(7)]
    assert [(one.has_token, one.tokens) for one in taken[-2:]] == [(True, 0), (False, 0)]
    assert (taken[-1].capacity, taken[-1].seconds_to_token, taken[-1].seconds_to_full) == (6, 0.5, 3)
    clock.now += 1
    taken = [buckets.try_take(1, 2.0)]
    assert (taken[0].tokens, taken[0].seconds_to_token, taken[0].seconds_to_full) == (1, 0, 2.5)


@pytest.mark.usefixtures("clock")
def test_many_keys_take_bounded_memory_and_the_latest_are_kept() -> None:
    buckets = TokenBuckets(1.0, max_buckets=100)
    assert buckets.take("mine", 1.0)
    for number in range(1000):
        assert buckets.take(number, 1.0)
        assert not buckets.take("mine", 1.0), "a bucket in use stays"
    assert len(buckets) == 100
    assert not buckets.take(999, 1.0)
    assert buckets.take(0, 1.0), "a bucket that was removed is full again"
