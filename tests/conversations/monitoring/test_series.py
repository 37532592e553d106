"""What plots show is exactly what was counted, however the minutes were remembered."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from conversations.monitoring.history import LAG_BOUNDS, MINUTE, Figures
from conversations.monitoring.series import DAY, HOUR, Part, change, parts, quantile

START = 30_000_000  # a minute


def rows_of(messages: list[int], minutes: list[int] | None = None) -> list[Figures]:
    """Return a row for each minute; each list item is what was counted before it."""
    times = minutes or list(range(len(messages)))
    return [
        Figures((START + minute) * MINUTE, messages=total)
        for minute, total in zip(times, accumulate(messages), strict=True)
    ]


def messages(found: list[Part]) -> int:
    return sum(part.change.messages for part in found if part.change)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=61))
def test_the_points_add_up_to_what_was_counted(counts: list[int]) -> None:
    rows = rows_of([1000, *counts[1:]])
    found = parts(rows, HOUR)
    assert messages(found) == change(rows).messages == sum(counts[1:])
    assert [part.at for part in found] == [(START + len(rows) - 1 - 60 + n) * MINUTE for n in range(60)]


@given(st.sets(st.integers(0, 24 * 60 - 1), min_size=1), st.data())
def test_a_missing_minute_loses_nothing(minutes: set[int], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 9), min_size=len(minutes), max_size=len(minutes)))
    rows = rows_of(counts, sorted(minutes))
    assert messages(parts(rows, DAY)) == sum(counts[1:])


def test_a_part_without_rows_is_a_gap_and_the_next_one_has_its_counts_as_a_mean() -> None:
    rows = rows_of([5, 2, 30], [0, 1, 11])
    found = [part.change and part.change.messages_a_minute for part in parts(rows, HOUR)]
    assert found[-11:] == [2.0, *[None] * 9, 3.0]


def test_a_counter_that_falls_was_reset_and_makes_no_peak() -> None:
    rows = [Figures(minute * MINUTE, cache_hits=hits) for minute, hits in enumerate((900, 950, 10, 30))]
    assert change(rows).cache_hits == 50 + 20


def test_rates_are_unknown_without_events() -> None:
    one = Figures(0.0, lags=(0, 0))
    assert (change([one]).hit_rate, change([one]).lag, change([one]).messages_a_minute) == (None, None, None)
    assert change([one, Figures(60.0, cache_hits=3, cache_misses=1)]).hit_rate == 0.75


@given(st.lists(st.integers(0, 9), min_size=len(LAG_BOUNDS) + 1, max_size=len(LAG_BOUNDS) + 1), st.floats(0.01, 1))
def test_a_quantile_lies_in_the_bucket_of_its_rank(counts: list[int], share: float) -> None:
    found = quantile(counts, LAG_BOUNDS, share)
    if not sum(counts):
        assert found is None
        return
    assert found is not None
    bucket = next(n for n, total in enumerate(accumulate(counts)) if total and total >= share * sum(counts))
    limits = (0.0, *LAG_BOUNDS, LAG_BOUNDS[-1])
    assert limits[bucket] <= found * 1.000001
    assert found <= limits[bucket + 1] * 1.000001
