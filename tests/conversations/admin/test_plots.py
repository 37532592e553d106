import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.admin.plots import HEIGHT, WIDTH, Point, draw, nice_ceiling

VALUES = st.lists(st.none() | st.floats(0, 1e9), min_size=1, max_size=96)


@given(VALUES, st.booleans())
def test_every_shape_is_inside_the_image(values: list[float | None], is_line: bool) -> None:  # noqa: FBT001 - drawn
    plot = draw([Point(value, "") for value in values], is_line=is_line, least_top=5.0)
    assert plot.top >= max((value for value in values if value is not None), default=0) * 0.999999
    assert len(plot.spots) == len(values)
    for path in (plot.line, plot.area, *(spot.bar for spot in plot.spots)):
        for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", path):
            assert -0.1 <= float(x) <= WIDTH + 0.1
            assert -0.1 <= float(y) <= HEIGHT + 0.1


def test_a_gap_divides_the_line_and_bars_of_0_are_left_out() -> None:
    points = [Point(value, "") for value in (1.0, 2.0, None, 0.0)]
    line = draw(points, is_line=True, least_top=2.0)
    assert line.line == "M75.0 50.0L225.0 0.0M450.0 100.0L600.0 100.0"
    bars = draw(points, is_line=False, least_top=2.0)
    assert (bars.line, [bool(spot.bar) for spot in bars.spots]) == ("", [True, True, False, False])


@pytest.mark.parametrize(("value", "top"), [(0.3, 0.5), (1, 1), (1.1, 2), (7, 10), (4200, 5000), (1e6, 1e6)])
def test_the_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert nice_ceiling(value) == pytest.approx(top)
