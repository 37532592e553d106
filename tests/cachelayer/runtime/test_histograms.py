"""Histograms count each duration once, also from many threads."""

from concurrent.futures import ThreadPoolExecutor

from cachelayer.runtime.histograms import SUM, Histogram, histogram, snapshot

BOUNDS = (0.1, 1.0)


def test_a_limit_belongs_to_its_bucket_and_the_last_bucket_has_the_rest() -> None:
    one = Histogram(BOUNDS)
    for seconds in (0.05, 0.1, 0.5, 1.0, 7.0):
        one.observe(seconds)
    assert (one.counts, one.seconds) == ([2, 2, 1], 8.65)


def test_a_series_has_one_histogram_in_a_process() -> None:
    assert histogram("test_series", BOUNDS, "a") is histogram("test_series", BOUNDS, "a")
    histogram("test_series", BOUNDS, "a").observe(0.25)
    found = {key[1:]: value for key, value in snapshot().items() if key[0] == "test_series"}
    assert found == {("a", 1): 1, ("a", SUM): 250_000}


def test_threads_lose_no_observation() -> None:
    one = Histogram(BOUNDS)

    def observe(_thread: int) -> None:
        for _ in range(20_000):
            one.observe(0.5)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(observe, range(4)))
    assert one.counts == [0, 80_000, 0]
