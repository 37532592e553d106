"""The dashboard, the alerts and the documentation in the repository are those of the tables."""

import json
import re
from pathlib import Path

import yaml
from django.core.management import call_command

from conversations.monitoring import exposition, files
from conversations.monitoring.reading import Reading
from conversations.monitoring.rules import RULES
from conversations.monitoring.state import Number, State
from conversations.monitoring.table import METRICS

DOCS = Path(__file__).resolve().parents[3] / "docs"
NAME = re.compile(r"whatsai_[a-z_]+")


def test_the_files_are_current(tmp_path: Path) -> None:
    """`manage.py monitoring_files` makes them current."""
    call_command("monitoring_files", str(tmp_path))
    for name in files.files():
        assert (DOCS / "monitoring" / name).read_text(encoding="utf-8") == (tmp_path / name).read_text(encoding="utf-8")


def test_the_documentation_has_the_table_of_metrics() -> None:
    assert files.markdown() in (DOCS / "metrics.md").read_text(encoding="utf-8")


def test_queries_use_metrics_of_the_table() -> None:
    names = {metric.name for metric in METRICS}
    names |= {metric.name + part for metric in METRICS if metric.kind == "histogram" for part in ("_bucket", "_count")}
    dashboard = json.loads(files.files()[files.DASHBOARD])
    (group,) = yaml.safe_load(files.files()[files.ALERTS])["groups"]
    queries = [panel["targets"][0]["expr"] for panel in dashboard["panels"]] + [rule["expr"] for rule in group["rules"]]
    used = {name for query in queries for name in NAME.findall(query)}
    assert used <= names


def test_each_alarm_that_sends_messages_is_an_alert() -> None:
    (group,) = yaml.safe_load(files.files()[files.ALERTS])["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(names) == len(set(names))
    assert {f"WhatsAI{rule.kind.capitalize()}" for rule in RULES if rule.patience is not None} <= set(names)


def test_names_and_labels_follow_the_rules_of_prometheus() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"whatsai_[a-z]+(_[a-z]+)*", metric.name)
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert not {"le", "quantile"} & set(metric.labels)


def test_a_scrape_has_as_many_lines_as_there_are_numbers_and_names_in_the_code() -> None:
    reading = Reading(state=State(numbers=tuple(Number(pk, f"n{pk}", "open") for pk in range(10))))
    samples = [sample for metric in METRICS for sample in metric.samples(reading)]
    text = exposition.render((metric, metric.samples(reading)) for metric in METRICS)
    assert len(text.splitlines()) == len(samples) + 2 * len(METRICS)
