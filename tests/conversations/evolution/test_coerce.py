"""Numbers and timestamps are parsed in each encoding that Evolution API uses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution import coerce


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_encoding_of_an_integer_gives_the_same_number(number: int) -> None:
    low, high = number & 0xFFFFFFFF, number >> 32
    signed = low - 2**32 if low >= 2**31 else low
    assert coerce.int64(number) == coerce.int64(str(number)) == number
    assert coerce.int64({"low": low, "high": high, "unsigned": False}) == number
    assert coerce.int64({"low": signed, "high": high, "unsigned": False}) == number


@pytest.mark.parametrize("value", [None, "", "1.5", "x", 1.5, True, {}, {"low": 1}, [], "9" * 40, 2**63])
def test_other_values_are_not_integers(value: object) -> None:
    assert coerce.int64(value) is None


def test_an_int32_has_at_most_32_bits() -> None:
    assert coerce.int32("2147483647") == 2**31 - 1
    assert coerce.int32(2**31) is None


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (1765458000.5, 1765458000500),
        ("1765458000.25", 1765458000250),
        (1765458000123456, 1765458000123),
        (1765458000123456789, 1765458000123),
        ({"low": 1765458000, "high": 0}, 1765458000000),
        ("2025-12-11T13:00:00.000Z", 1765458000000),
        ("2025-12-11T10:00:00-03:00", 1765458000000),
        (0, 0),
    ],
)
def test_a_timestamp_may_have_a_fraction_or_be_in_micro_or_nanoseconds_or_a_text(value: object, ms: int) -> None:
    assert coerce.epoch_ms(value) == ms


def test_a_timestamp_is_in_seconds_or_in_milliseconds() -> None:
    assert coerce.epoch_ms(1765458000) == coerce.epoch_ms("1765458000000") == 1765458000000
    assert coerce.from_ms(1765458000000).isoformat() == "2025-12-11T13:00:00+00:00"
    assert coerce.to_ms(coerce.from_ms(1765458000123)) == 1765458000123


@pytest.mark.parametrize("value", [-1, 10**20, "soon", "NaN", "1e9", None, True, {}, float("inf"), float("nan")])
def test_other_values_are_not_timestamps(value: object) -> None:
    assert coerce.epoch_ms(value) is None


def test_clocks_sort_by_time() -> None:
    times = ["2025-12-11T10:00:05Z", "2025-12-11T10:00:05.890Z", "2025-12-11T10:00:05.9Z", "2025-12-11T10:00:06Z"]
    clocks = [coerce.clock_text(coerce.epoch_ms(time) or 0) for time in times]
    assert clocks == sorted(clocks)
    assert coerce.clock_ms(clocks[1]) == 1765447205890
    assert (coerce.clock_text(0), coerce.clock_ms("")) == ("", 0)
