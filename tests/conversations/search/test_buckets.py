"""A search reads the latest bucket of time first, then more and more at once, each of them once."""

import datetime as dt

import pytest

from conversations.search.buckets import bucket, span, windows
from tests.conversations.rows import NOON


@pytest.mark.parametrize("days", [0, 31, 32, 100, 1000, 10_000])
def test_all_buckets_are_read_once_the_latest_first(days: int) -> None:
    oldest = NOON - dt.timedelta(days=days)
    read = [number for window in windows(NOON, oldest) for number in window]
    assert read == list(range(bucket(NOON), bucket(oldest) - 1, -1))


def test_the_first_groups_are_small() -> None:
    assert [len(window) for window in windows(NOON, NOON - dt.timedelta(days=3200))] == [1, 3, 12, 85]


def test_nothing_is_read_if_the_newest_is_before_the_oldest() -> None:
    assert list(windows(NOON - dt.timedelta(days=90), NOON)) == []


def test_a_group_spans_the_times_of_its_buckets() -> None:
    for window in windows(NOON, NOON - dt.timedelta(days=400)):
        start, end = span(window)
        assert (bucket(start), bucket(end - dt.timedelta(microseconds=1))) == (window[-1], window[0])
        assert (bucket(start - dt.timedelta(microseconds=1)), bucket(end)) == (window[-1] - 1, window[0] + 1)
