"""Each time belongs to one bucket, and buckets that follow each other span a range of times without gaps."""

import datetime as dt

import pytest

from conversations.search.buckets import bucket, span
from tests.conversations.rows import NOON


@pytest.mark.parametrize("count", [1, 4, 30])
def test_a_group_spans_the_times_of_its_buckets(count: int) -> None:
    window = range(bucket(NOON), bucket(NOON) - count, -1)
    start, end = span(window)
    assert (bucket(start), bucket(end - dt.timedelta(microseconds=1))) == (window[-1], window[0])
    assert (bucket(start - dt.timedelta(microseconds=1)), bucket(end)) == (window[-1] - 1, window[0] + 1)
