"""Payloads of the webhook contract: samples by event, and a real server's traffic in order of arrival."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SAMPLES = sorted(path.name for path in (HERE / "samples").glob("*.json"))


def sample(name: str) -> dict[str, Any]:
    """Return one sample's body."""
    body: dict[str, Any] = json.loads((HERE / "samples" / name).read_text(encoding="utf-8"))
    return body


def captured() -> list[dict[str, Any]]:
    """Return the recording: `t` (seconds), `path`, `answered` (status), `body`."""
    lines = (HERE / "captured.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
