"""A due time that only a wrong clock can have written counts as passed, in Python and in SQL."""

import datetime as dt

import pytest

from conversations.db.due_times import due, is_due
from conversations.models import Turn

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wait", "expected"),
    [(-HOUR, True), (0 * HOUR, True), (HOUR / 60, False), (HOUR, False), (HOUR * 1.01, True), (1000 * HOUR, True)],
)
def test_a_time_that_has_passed_or_is_too_far_ahead_is_due(wait: dt.timedelta, expected: bool) -> None:  # noqa: FBT001 - pytest passes the argument by keyword
    Turn.objects.create(name="x", next_at=NOW + wait)
    assert is_due(NOW + wait, NOW, HOUR) is expected
    assert Turn.objects.filter(due("next_at", NOW, HOUR)).exists() is expected
