"""Numbers and times in all their encodings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution import coerce


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_long_is_the_same_number_in_every_encoding(number: int) -> None:
    low, high = number & 0xFFFFFFFF, number >> 32
    signed = low - 2**32 if low >= 2**31 else low
    assert coerce.integer(number) == coerce.integer(str(number)) == number
    assert coerce.integer({"low": low, "high": high, "unsigned": False}) == number
    assert coerce.integer({"low": signed, "high": high, "unsigned": False}) == number


@pytest.mark.parametrize("value", [None, "", "1.5", "x", 1.5, True, {}, {"low": 1}, [], "9" * 40])
def test_what_is_no_integer_is_none(value: object) -> None:
    assert coerce.integer(value) is None


def test_a_moment_may_be_in_seconds_or_in_milliseconds() -> None:
    assert coerce.milliseconds(1765458000) == coerce.milliseconds("1765458000000") == 1765458000000
    assert coerce.from_ms(1765458000000).isoformat() == "2025-12-11T13:00:00+00:00"
    assert coerce.ms_of(coerce.from_ms(1765458000123)) == 1765458000123


@pytest.mark.parametrize("value", [-1, 10**14, "soon", None, float("inf")])
def test_what_is_no_moment_is_none(value: object) -> None:
    assert coerce.milliseconds(value) is None


def test_clock_readings_sort_as_times_do() -> None:
    readings = ["2025-12-11T10:00:05Z", "2025-12-11T10:00:05.890Z", "2025-12-11T10:00:05.9Z", "2025-12-11T10:00:06Z"]
    assert sorted(map(coerce.sortable_clock, readings)) == list(map(coerce.sortable_clock, readings))
    assert coerce.sortable_clock("yesterday") == coerce.sortable_clock(None) == ""
    assert coerce.clock_ms(coerce.sortable_clock("2025-12-11T10:00:05.890Z")) == 1765447205890
    assert coerce.clock_ms("") == coerce.clock_ms("2025-99-11T10:00:05.890") == 0
