"""What a metric is: its name, type, help and labels, and the function that takes its samples from a `Reading`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from conversations.monitoring.reading import Reading

Kind = Literal["counter", "gauge", "histogram"]


class Sample(NamedTuple):
    """One value of a metric.

    Attributes:
        value: the value.
        labels: the values of the metric's labels.
        suffix: what follows the metric's name, for the parts of a histogram.
        extra: further labels, for the buckets of a histogram.
    """

    value: float
    labels: tuple[str, ...] = ()
    suffix: str = ""
    extra: tuple[tuple[str, str], ...] = ()


class Panel(NamedTuple):
    """How the dashboard shows a metric.

    Attributes:
        title: the title of the panel.
        unit: Grafana's name of the unit.
        query: the query; "" for the usual one of the metric's type.
    """

    title: str
    unit: str = "short"
    query: str = ""


class Alert(NamedTuple):
    """An alert of Prometheus, beside those of the alarm rules.

    Attributes:
        name: the name.
        query: the query, which has a result if something is wrong.
        minutes: for how long it must have one.
        summary: what is wrong, as a sentence.
    """

    name: str
    query: str
    minutes: int
    summary: str


@dataclass(frozen=True)
class Metric:
    """A metric of the table `conversations.monitoring.table.METRICS`.

    Attributes:
        name: the name, with its unit.
        kind: the type of Prometheus.
        help: what the value is, in one line.
        samples: returns the samples of the metric in a reading.
        labels: the names of the labels. Their values come from the code or are bounded in number.
        panel: how the dashboard shows it; None if it does not.
        alert: an alert about it, if no alarm rule is about the same.
    """

    name: str
    kind: Kind
    help: str
    samples: Callable[[Reading], Iterable[Sample]]
    labels: tuple[str, ...] = ()
    panel: Panel | None = None
    alert: Alert | None = None
