"""Webhook payloads of Evolution API: one sample or more of each event, and a recording of a real server."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SAMPLES = sorted(path.name for path in (HERE / "samples").glob("*.json"))


def sample(name: str) -> dict[str, Any]:
    """Return the body in `samples/<name>`."""
    body: dict[str, Any] = json.loads((HERE / "samples" / name).read_text(encoding="utf-8"))
    return body


def captured() -> list[dict[str, Any]]:
    """Return the recorded requests in order of arrival.

    Each has `t` (seconds since the start), `path`, `answered` (the response's status) and `body`.
    """
    lines = (HERE / "captured.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
