"""Writes metrics in the text format of Prometheus.

The format is described at https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format.
"""

from collections.abc import Iterable, Iterator

from conversations.monitoring.metric import Metric, Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def render(metrics: Iterable[tuple[Metric, Iterable[Sample]]]) -> str:
    """Return the text of some metrics with their samples."""
    return "".join(line + "\n" for metric, samples in metrics for line in _lines(metric, samples))


def _lines(metric: Metric, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for sample in samples:
        yield f"{metric.name}{sample.suffix}{_labels(metric, sample)} {sample.value}"


def _labels(metric: Metric, sample: Sample) -> str:
    pairs = [*zip(metric.labels, sample.labels, strict=True), *sample.extra]
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in pairs) + "}" if pairs else ""
