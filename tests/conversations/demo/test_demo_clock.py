import pytest

from conversations.demo import demo_clock
from conversations.demo.demo_clock import CONNECTED, DAY, END, HOUR


def test_the_demo_ends_on_a_fixed_day() -> None:
    assert demo_clock.utc(END).isoformat() == "2026-11-20T18:00:00+00:00"


def test_date_time_is_local_time_with_a_z() -> None:
    assert demo_clock.date_time(END + 5) == "2026-11-20T15:00:00.005Z"


def test_hours_are_local_time() -> None:
    assert demo_clock.hour(demo_clock.at_hour(END, 8.5)) == 8.5
    assert demo_clock.date_time(demo_clock.at_hour(END, 8.5)) == "2026-11-20T08:30:00.000Z"
    assert demo_clock.hour(CONNECTED) == demo_clock.OPENING_HOUR


@pytest.mark.parametrize(("days", "name"), [(0, "sexta"), (1, "sábado"), (2, "segunda"), (3, "segunda")])
def test_a_sunday_becomes_monday(days: int, name: str) -> None:
    assert demo_clock.weekday(END + days * DAY, "pt") == name


def test_days_begin_at_local_midnight() -> None:
    assert demo_clock.weekday(demo_clock.at_hour(END, 23), "en") == "Friday"
    assert demo_clock.at_hour(END + 8 * HOUR, 0) == demo_clock.at_hour(END, 0)
