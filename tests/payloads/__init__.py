"""Webhook payloads of Evolution API: at least one sample of each event, and the recorded requests of a real server."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SAMPLES = sorted(path.name for path in (HERE / "samples").glob("*.json"))


def sample(name: str) -> dict[str, Any]:
    """Return the decoded webhook body in the file `samples/<name>`."""
    body: dict[str, Any] = json.loads((HERE / "samples" / name).read_text(encoding="utf-8"))
    return body


def captured() -> list[dict[str, Any]]:
    """Return the recorded webhook requests in order of arrival.

    Each request has `t` (seconds since the start), `path`, `answered` (the response's status) and `body`.
    """
    lines = (HERE / "captured.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
