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


def case(name: str) -> list[dict[str, Any]]:
    """Return the webhook bodies in the file `cases/<name>.json`, whose content is rare or was once read wrongly."""
    bodies: list[dict[str, Any]] = json.loads((HERE / "cases" / f"{name}.json").read_text(encoding="utf-8"))
    return bodies


def messages() -> list[dict[str, Any]]:
    """Return messages with rare content, each with what it gives.

    Each has a `name`, and either a `message` or an `event` with `data`. A message also has `chat`, `from_me`, `type`
    and further fields of the `record`, if they are unusual. `gives` has the fields of the chat message, or the
    `updates` of other messages; it is empty if nothing is stored.
    """
    lines = (HERE / "messages.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def stories() -> list[dict[str, Any]]:
    """Return webhook events from every part of WhatsApp's protocol, each list of them with what a phone then shows.

    Each story has a `name`, `events` in order of arrival, the messages that it `shows`, oldest first, and how many of
    them are `unread`. A message is `[me ]kind: text`, and then, if it has them: `edited`, `deleted`, `re` with the id
    and text of the quoted message, its reactions, its votes, and its media and details that are named in `fields`.
    """
    lines = (HERE / "stories.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def protocol_fields() -> dict[str, str]:
    """Return the type of each field of WhatsApp's protocol buffer `Message`, as of version 7.0.0-rc.9 of Baileys."""
    lines = (HERE / "message_fields.txt").read_text(encoding="utf-8").splitlines()
    return {name: type_name for _, name, type_name in map(str.split, lines)}


def captured() -> list[dict[str, Any]]:
    """Return the recorded webhook requests in order of arrival.

    Each request has `t` (seconds since the start), `path`, `answered` (the response's status) and `body`.
    """
    lines = (HERE / "captured.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
