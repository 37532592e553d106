"""Pure functions that draw a plot: the shapes of an SVG image without colours, which are those of CSS classes.

The image is stretched to its place, so it has no texts; the template writes them beside it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

WIDTH, HEIGHT = 600, 100  # in the units of the image
GAP = 0.2  # share of a part's width that is left free between two bars


class Point(NamedTuple):
    """The value of one part of a period, and what its column shows when it is pointed at; None if it is not known."""

    value: float | None
    title: str


class Spot(NamedTuple):
    """The column of one part, which shows its time and value when it is pointed at, and its bar if there is one."""

    left: str
    width: str
    title: str
    bar: str


@dataclass(frozen=True)
class Plot:
    """A plot of one figure.

    Attributes:
        top: the value at the upper edge.
        line: the path of the line, in pieces; "" for bars.
        area: the path of the area below the line.
        spots: the columns.
    """

    top: float
    line: str
    area: str
    spots: tuple[Spot, ...]
    width: int = WIDTH
    height: int = HEIGHT


def draw(points: Sequence[Point], *, is_line: bool, least_top: float, most_top: float = math.inf) -> Plot:
    """Return a plot of some points.

    Args:
        points: the values of the parts, all of the same length.
        is_line: whether to draw a line instead of bars.
        least_top: the least value at the upper edge, so that small values look small.
        most_top: the greatest value at the upper edge.
    """
    highest = max((point.value for point in points if point.value is not None), default=0.0)
    top = min(most_top, least_top if highest <= least_top else nice_ceiling(highest))
    pieces = list(_pieces(points, top)) if is_line else []
    width = WIDTH / max(1, len(points))
    return Plot(
        top=top,
        line="".join(_path(piece) for piece in pieces),
        area="".join(f"{_path(piece)}V{HEIGHT}H{piece[0][0]:.1f}Z" for piece in pieces),
        spots=tuple(
            Spot(
                f"{number * width:.1f}",
                f"{width:.1f}",
                point.title,
                "" if is_line or not point.value else _bar(number * width, width, _y(point.value, top)),
            )
            for number, point in enumerate(points)
        ),
    )


def nice_ceiling(value: float) -> float:
    """Return the least of 1, 2, 5, 10, 20 and so on, and of their parts, that is not below a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10, 20) if step * power >= value)


def _y(value: float, top: float) -> float:
    return HEIGHT - HEIGHT * min(value, top) / top


def _pieces(points: Sequence[Point], top: float) -> Iterator[list[tuple[float, float]]]:
    """Yield the corners of the line, in a piece for each time between two gaps; a piece has two corners at least."""
    width = WIDTH / max(1, len(points))
    for is_known, group in groupby(enumerate(points), key=lambda item: item[1].value is not None):
        if is_known:
            corners = [((number + 0.5) * width, _y(point.value or 0.0, top)) for number, point in group]
            if len(corners) == 1:
                ((x, y),) = corners
                corners = [(x - width / 2, y), (x + width / 2, y)]
            yield corners


def _path(corners: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners)


def _bar(left: float, width: float, y: float) -> str:
    return f"M{left + width * GAP / 2:.1f} {HEIGHT}V{min(y, HEIGHT - 1):.1f}h{width * (1 - GAP):.1f}V{HEIGHT}Z"
