import pytest

from conversations.demo import demo_clock
from conversations.demo.demo_clock import CONNECTED, DAY, END, HOUR


def test_the_demo_ends_on_a_fixed_day() -> None:
    assert demo_clock.utc(END).isoformat() == "2026-11-20T18:00:00+00:00"


def test_date_time_is_the_offices_clock_with_a_false_z() -> None:
    assert demo_clock.date_time(END + 5) == "2026-11-20T15:00:00.005Z"


def test_the_hour_of_a_day_is_the_offices() -> None:
    assert demo_clock.hour(demo_clock.at_hour(END, 8.5)) == 8.5
    assert demo_clock.date_time(demo_clock.at_hour(END, 8.5)) == "2026-11-20T08:30:00.000Z"
    assert demo_clock.hour(CONNECTED) == demo_clock.OPENS


@pytest.mark.parametrize(("days", "name"), [(0, "sexta"), (1, "sábado"), (2, "segunda"), (3, "segunda")])
def test_nothing_is_promised_for_a_sunday(days: int, name: str) -> None:
    assert demo_clock.weekday(END + days * DAY, "pt") == name


def test_late_in_the_evening_it_is_still_the_same_day() -> None:
    assert demo_clock.weekday(demo_clock.at_hour(END, 23), "en") == "Friday"
    assert demo_clock.at_hour(END + 8 * HOUR, 0) == demo_clock.at_hour(END, 0)
