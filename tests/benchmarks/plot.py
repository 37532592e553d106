"""Draws a plot of the cache benchmark: one panel per measure, one bar per library, on a logarithmic scale."""

from pathlib import Path
from typing import Any

from tests.benchmarks import peers
from tests.benchmarks.report import TITLES
from tests.benchmarks.targets import Medians

PANELS = ("row", "page", "many", "save")
OURS, PEER, BASELINE = "#0a7d55", "#8c9bab", "#d5dbe1"


def draw(by_measure: Medians, path: Path) -> None:
    """Write the plot to `path` as SVG; equal figures give an identical file."""
    import matplotlib as mpl  # noqa: PLC0415 - the package is an optional dependency
    from matplotlib.figure import Figure  # noqa: PLC0415 - the package is an optional dependency

    mpl.rcParams.update({"svg.hashsalt": "whatsai", "font.family": "sans-serif", "font.size": 9})
    figure = Figure(figsize=(10, 7), layout="constrained", facecolor="white")
    for panel, measure in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        _panel(
            panel,
            TITLES[measure].replace("`", ""),
            {name: figures["seconds"] for name, figures in by_measure[measure].items()},
        )
    figure.savefig(path, metadata={"Date": None})


def _panel(axes: Any, title: str, seconds: dict[str, float]) -> None:
    names = sorted(seconds, key=lambda name: -seconds[name])
    micros = [seconds[name] * 1e6 for name in names]
    bars = axes.barh(names, micros, color=[_color(name) for name in names], log=True)
    axes.bar_label(bars, labels=[f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in micros], padding=3)
    axes.set(title=title, xlabel="µs, lower is better")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def _color(name: str) -> str:
    if peers.BY_NAME[name].is_baseline:
        return BASELINE
    return OURS if name in peers.ALL_OURS else PEER
