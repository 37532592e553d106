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


def test_a_low_rate_allows_one_action(clock: StoppedClock) -> None:
    buckets = TokenBuckets(1.0)
    assert [buckets.take(1, 0.1) for _ in range(2)] == [True, False]
    clock.now += 10
    assert [buckets.take(1, 0.1) for _ in range(2)] == [True, False]
