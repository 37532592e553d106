"""The text of metrics is what Prometheus reads."""

from conversations.monitoring import exposition
from conversations.monitoring.metric import Metric, Sample


def rendered(metric: Metric, *samples: Sample) -> list[str]:
    return exposition.render([(metric, samples)]).splitlines()


PLAIN = Metric("up", "gauge", "Whether it runs.", lambda _: ())
LABELLED = Metric("events_total", "counter", "Events.", lambda _: (), ("kind", "place"))


def test_a_metric_has_help_and_type_and_a_line_for_each_sample() -> None:
    assert rendered(PLAIN, Sample(1)) == ["# HELP up Whether it runs.", "# TYPE up gauge", "up 1"]
    assert rendered(PLAIN) == ["# HELP up Whether it runs.", "# TYPE up gauge"]


def test_values_of_labels_are_escaped() -> None:
    (line,) = rendered(LABELLED, Sample(2, ('say "hi"\n', "a\\b")))[2:]
    assert line == r'events_total{kind="say \"hi\"\n",place="a\\b"} 2'


def test_parts_of_a_histogram_have_a_suffix_and_the_label_of_the_bucket() -> None:
    (line,) = rendered(PLAIN, Sample(0.25, suffix="_bucket", extra=(("le", "+Inf"),)))[2:]
    assert line == 'up_bucket{le="+Inf"} 0.25'
