import math

import pytest

from tests.load.load_generator import Tally
from tests.load.plan import Plan
from tests.load.report import Report, expectation, load_lines, mismatch_lines, percentile


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (90, 90), (99, 99), (100, 100), (1, 1)])
def test_a_percentile_is_the_nearest_rank(percent: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == value


def test_the_percentile_of_no_values_is_nan() -> None:
    assert math.isnan(percentile([], 50))


def test_an_expectation_is_met_or_not() -> None:
    assert expectation([0.1], 100) == "  (p99 ≤ 100 ms: met)"
    assert expectation([0.2], 100) == "  (p99 ≤ 100 ms: NOT met)"
    assert expectation([0.2], None) == ""


def test_a_late_generator_is_reported() -> None:
    tally = Tally(seconds=1, lateness=[0.5] * 10)
    assert any("THE GENERATOR WAS LATE" in line for line in load_lines(Plan(), tally, 10))
    tally = Tally(seconds=1, lateness=[0.001] * 10)
    assert not any("LATE" in line for line in load_lines(Plan(), tally, 10))


def test_mismatches_are_counted_and_shown_with_examples() -> None:
    report = Report(messages=3, conversations=1)
    for number in range(9):
        report.expect_equal("wrong unread", f"chat {number}", 1, 2)
    first, *examples = mismatch_lines(report)
    assert "9 wrong unread" in first
    assert "0 lost" in first
    assert examples[0] == "    wrong unread: chat 0: 1, must be 2"
    assert len(examples) == 3
    assert not report.is_correct
