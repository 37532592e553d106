"""Makes a dashboard for Grafana, alerts for Prometheus and documentation from the tables of metrics and rules."""

import json
from typing import Any

from conversations.monitoring.metric import Metric
from conversations.monitoring.rules import RULES
from conversations.monitoring.table import METRICS

DASHBOARD, ALERTS = "dashboard.json", "alerts.yml"
COLUMNS, WIDTH, HEIGHT = 2, 12, 8  # of the dashboard: panels in a row, and their size in Grafana's grid


def files() -> dict[str, str]:
    """Return the content of each file by its name."""
    return {DASHBOARD: f"{json.dumps(_dashboard(), indent=2)}\n", ALERTS: _alerts()}


def markdown() -> str:
    """Return a table of all metrics in Markdown."""
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(lines) + "\n"


def query_of(metric: Metric) -> str:
    """Return the query of a metric's panel."""
    if metric.panel is not None and metric.panel.query:
        return metric.panel.query
    labels = ", ".join(metric.labels)
    match metric.kind:
        case "gauge":
            return metric.name
        case "counter":
            return f"sum by ({labels}) (rate({metric.name}[5m]))"
        case "histogram":
            by = ", ".join(("le", *metric.labels))
            return f"histogram_quantile(0.95, sum by ({by}) (rate({metric.name}_bucket[5m])))"


def _dashboard() -> dict[str, Any]:
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    shown = [metric for metric in METRICS if metric.panel is not None]
    return {
        "uid": "whatsai",
        "title": "WhatsAI",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source]},
        "panels": [_panel(number, metric) for number, metric in enumerate(shown)],
    }


def _panel(number: int, metric: Metric) -> dict[str, Any]:
    assert metric.panel is not None  # noqa: S101 - the caller leaves out the others
    row, column = divmod(number, COLUMNS)
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels if label != "id")
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": metric.panel.title,
        "description": metric.help,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": metric.panel.unit, "min": 0}, "overrides": []},
        "targets": [{"refId": "A", "expr": query_of(metric), "legendFormat": legend or metric.panel.title}],
    }


def _alerts() -> str:
    rules = [
        _rule(
            f"WhatsAI{rule.kind.capitalize()}",
            f'whatsai_alarms{{kind="{rule.kind}"}} > 0',
            f"{rule.patience:.0f}s",
            summary=f"{rule.title[0].upper()}{rule.title[1:]}.",
            description=rule.advice,
        )
        for rule in RULES
        if rule.patience is not None
    ]
    alerts = [metric.alert for metric in METRICS if metric.alert is not None]
    rules += [_rule(alert.name, alert.query, f"{alert.minutes}m", summary=alert.summary) for alert in alerts]
    return "groups:\n  - name: whatsai\n    rules:\n" + "".join(rules)


def _rule(name: str, query: str, duration: str, **annotations: str) -> str:
    """Return an alert in YAML. A text in JSON is also a text in YAML."""
    texts = {"expr": query, "for": duration}
    lines = [f"      - alert: {name}", *(f"        {key}: {json.dumps(text)}" for key, text in texts.items())]
    lines += ["        annotations:", *(f"          {key}: {json.dumps(text)}" for key, text in annotations.items())]
    return "".join(f"{line}\n" for line in lines)
