"""Writes metrics in the text format of Prometheus.

The format is described at https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from conversations.monitoring.metric import Metric, Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_CACHED = 8192  # texts of labels
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def render(metrics: Iterable[tuple[Metric, Iterable[Sample]]]) -> str:
    """Return the text of some metrics with their samples."""
    return "".join(line + "\n" for metric, samples in metrics for line in _lines(metric, samples))


def _lines(metric: Metric, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for sample in samples:
        yield f"{metric.name}{sample.suffix}{_labels(metric.labels, sample.labels, sample.extra)} {sample.value}"


@lru_cache(maxsize=MAX_CACHED)  # a scrape has the same series as the one before
def _labels(names: tuple[str, ...], values: tuple[str, ...], extra: tuple[tuple[str, str], ...]) -> str:
    pairs = [*zip(names, values, strict=True), *extra]
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in pairs) + "}" if pairs else ""
